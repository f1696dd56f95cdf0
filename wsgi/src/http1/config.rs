//! What one HTTP/1.1 connection may cost. Every bound is here, and has a name.

use std::fmt;
use std::time::Duration;

use super::response::ResponseHead;

/// The bounds and habits of [`Connection`](super::Connection). One is shared by all connections of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The longest request line in bytes, without its line end; 414 beyond it. 8 KiB, as RFC 9112 section 3
    /// recommends at least.
    pub request_line_bytes_max: usize,
    /// The longest head in bytes, from the method to the empty line inclusive; 431 beyond it. 64 KiB.
    pub head_bytes_max: usize,
    /// How many field lines a head, and a trailer section, may have; 431 beyond it. 100.
    pub header_count_max: usize,
    /// The longest request body in bytes, decoded; 413 beyond it, at once where `Content-Length` tells. 1 GiB.
    pub body_bytes_max: u64,
    /// The bytes of chunk extensions in one body, all chunks together; 400 beyond it. 16 KiB.
    pub chunk_extension_bytes_max: usize,
    /// The bytes of one trailer section; 431 beyond it. 16 KiB.
    pub trailer_bytes_max: usize,
    /// Input that is kept while a request waits for its response; beyond it
    /// [`wants_input`](super::Connection::wants_input) is false. 64 KiB. At most one `receive` more is held.
    pub pipelined_bytes_max: usize,
    /// How long a connection without a request may stay open before it is closed silently. 30 s.
    pub idle_timeout: Duration,
    /// How long a head may take, from its first byte to its last; 408 then. 15 s.
    pub head_timeout: Duration,
    /// How long a body may pause, and the grace of `body_bytes_per_second_min`; 408 then. 20 s.
    pub body_timeout: Duration,
    /// What a body must arrive at on average once its grace is over; 408 for less. A sender of one byte now and then
    /// is thus cut after about `body_timeout`. 500; 0 leaves only the bound on pauses.
    pub body_bytes_per_second_min: u64,
    /// The `Server` field; `None` sends none. `handwound/0.1`. See [`Config::check`].
    pub server: Option<String>,
    /// After this many requests the connection is closed; `None`, the default, for no such limit.
    pub requests_per_connection_max: Option<u64>,
    /// Keeps fields with `_` in their names. False by default: in a CGI-like environment `X_User` would pass for
    /// `X-User`, which a proxy in front may have removed from what it lets through.
    pub keep_underscore_headers: bool,
    /// Refuses `[` and `]` in a path or a query, where RFC 3986 wants them percent-encoded. False by default: every
    /// browser sends them as they are, as in `?id[]=1`.
    pub refuse_brackets_in_targets: bool,
    /// Fields that every response gets, refusals too.
    pub extra_headers: ExtraHeaders,
}

/// Fields that are added to responses, beside those of the application.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExtraHeaders {
    /// As they go onto the wire, each with its line end.
    lines: Vec<u8>,
}

impl ExtraHeaders {
    /// None.
    pub const fn new() -> ExtraHeaders {
        ExtraHeaders { lines: Vec::new() }
    }

    /// Adds a field, behind those before.
    ///
    /// # Errors
    /// The operator's fault: not a field, or one that is the server's own business. The text says which rule it breaks.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), String> {
        let owned = ["content-length", "date", "server"];
        if owned.iter().any(|owned| name.eq_ignore_ascii_case(owned)) {
            return Err(format!("{name} is set by the server itself"));
        }
        ResponseHead::new("200 OK").and_then(|mut head| head.push(name, value)).map_err(|bad| bad.to_string())?;
        self.lines.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        Ok(())
    }

    #[inline]
    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }
}

impl fmt::Debug for ExtraHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExtraHeaders").field(&String::from_utf8_lossy(&self.lines)).finish()
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            request_line_bytes_max: 8 << 10,
            head_bytes_max: 64 << 10,
            header_count_max: 100,
            body_bytes_max: 1 << 30,
            chunk_extension_bytes_max: 16 << 10,
            trailer_bytes_max: 16 << 10,
            pipelined_bytes_max: 64 << 10,
            idle_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(20),
            body_bytes_per_second_min: 500,
            server: Some("handwound/0.1".to_owned()),
            requests_per_connection_max: None,
            keep_underscore_headers: false,
            refuse_brackets_in_targets: false,
            extra_headers: ExtraHeaders::default(),
        }
    }
}

impl Config {
    /// Checks what the types cannot: call it once where the configuration is read.
    ///
    /// # Errors
    ///
    /// The operator's fault: a `server` that cannot be a field value, or bounds that no request could meet. The text
    /// says which, and what would do.
    pub fn check(&self) -> Result<(), String> {
        if let Some(server) = &self.server
            && (server.trim() != server || server.is_empty() || !server.bytes().all(|b| (b' '..=b'~').contains(&b)))
        {
            return Err(format!("server {server:?} is no field value; use printable ASCII, or none"));
        }
        if self.head_bytes_max < 64 || self.head_bytes_max > HEAD_BYTES_LIMIT {
            let head_bytes_max = self.head_bytes_max;
            return Err(format!("head_bytes_max {head_bytes_max} is outside 64..={HEAD_BYTES_LIMIT}"));
        }
        Ok(())
    }
}

/// Positions inside a head are kept in 32 bits.
pub(crate) const HEAD_BYTES_LIMIT: usize = 1 << 30;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// RFC 9110 section 10.2.4.
    #[test]
    fn check_refuses_what_would_split_responses() {
        assert_eq!(Config::default().check(), Ok(()));
        for bad in ["", " x", "x ", "a\r\nb: c", "a\0", "\u{e9}"] {
            let config = Config { server: Some(bad.to_owned()), ..Config::default() };
            assert!(config.check().unwrap_err().contains("is no field value"), "{bad:?}");
        }
        assert_eq!(Config { server: None, ..Config::default() }.check(), Ok(()));
    }

    #[test]
    fn extra_headers_are_fields_and_not_the_servers_own() {
        let mut headers = ExtraHeaders::default();
        assert_eq!(headers.push("X-A", "a: b"), Ok(()));
        assert_eq!(headers.push("Content-Length", "5").unwrap_err(), "Content-Length is set by the server itself");
        for (name, value) in
            [("X A", "b"), ("X", "a\r\nb: c"), ("Transfer-Encoding", "chunked"), ("", ""), ("dATE", "")]
        {
            assert!(headers.push(name, value).is_err(), "{name}: {value}");
        }
        assert_eq!(headers.lines(), b"X-A: a: b\r\n");
    }

    #[test]
    fn check_refuses_heads_that_cannot_be() {
        let config = Config { head_bytes_max: 10, ..Config::default() };
        assert_eq!(config.check().unwrap_err(), "head_bytes_max 10 is outside 64..=1073741824");
    }
}
