//! What a request is told of the TLS that it came through.

/// What client and server have agreed upon; see [`Request::secured`](crate::Request::secured).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    pub(crate) protocol: &'static str,
    pub(crate) cipher: &'static str,
}

impl Secured {
    /// SSL_PROTOCOL: `TLSv1.3` or `TLSv1.2`.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// SSL_CIPHER: the cipher, by the name that OpenSSL has for it.
    pub fn cipher(&self) -> &'static str {
        self.cipher
    }
}
