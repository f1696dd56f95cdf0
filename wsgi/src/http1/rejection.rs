//! Why the connection itself refused a request, and the small text response that says so.

use std::fmt;

/// A request that the connection refused by itself: the peer's fault. The response is already in the output, nothing
/// more is parsed, and the connection closes.
///
/// It prints as `400 Bad Request: two Host fields`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// 400, 408, 413, 414, 417, 431, 501 or 505.
    pub status: u16,
    /// The rule that was broken, in lower case, for the log; it is also the response's text. It never quotes the peer.
    pub reason: &'static str,
}

impl Rejection {
    pub(crate) const fn new(status: u16, reason: &'static str) -> Rejection {
        Rejection { status, reason }
    }

    /// Most rules of the syntax end here.
    pub(crate) const fn bad(reason: &'static str) -> Rejection {
        Rejection::new(400, reason)
    }

    /// The reason phrase of the status.
    pub fn phrase(&self) -> &'static str {
        match self.status {
            400 => "Bad Request",
            408 => "Request Timeout",
            413 => "Content Too Large",
            414 => "URI Too Long",
            417 => "Expectation Failed",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            505 => "HTTP Version Not Supported",
            _ => "Refused",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.phrase(), self.reason)
    }
}

impl std::error::Error for Rejection {}
