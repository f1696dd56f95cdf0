//! The head of one request: its bytes, where the parts stand in them, and what was found out about them.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::target::{Span, Target, TargetForm};
use crate::body::LIGHT_BYTES;

/// The two versions that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

impl Version {
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        }
    }
}

/// One field line: where its name and its value are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Field {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// A request's head, complete and checked. It owns its bytes, so it can go to another thread; give it back with
/// [`Connection::recycle`](super::Connection::recycle) and the next request on the connection allocates nothing.
#[derive(Clone, Default)]
pub struct RequestHead {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fields: Vec<Field>,
    pub(crate) method: Span,
    pub(crate) target: Span,
    /// Ranges in `bytes`, not in the target.
    pub(crate) parts: Target,
    pub(crate) version: Version,
    pub(crate) host: Option<HostSpans>,
    pub(crate) content_length: Option<u64>,
    pub(crate) is_chunked: bool,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct HostSpans {
    pub(crate) text: Span,
    pub(crate) name: Span,
    pub(crate) port: Option<u16>,
}

/// Whom a request is for, as its target's authority or its `Host` field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// The whole of it, as it came: `[::1]:80`.
    pub text: &'a [u8],
    /// Name or address, without port and brackets: `::1`.
    pub name: &'a [u8],
    /// The port, if one was given.
    pub port: Option<u16>,
}

impl RequestHead {
    /// The method as it came; any token.
    pub fn method(&self) -> &[u8] {
        self.method.of(&self.bytes)
    }

    /// The whole request target as it came: `/a%20b?c`, `http://host/a`, `*`.
    pub fn target(&self) -> &[u8] {
        self.target.of(&self.bytes)
    }

    /// Which form the target has.
    pub fn target_form(&self) -> TargetForm {
        self.parts.form
    }

    /// The target's path, still percent-encoded: it starts with `/`, or it is `*`.
    pub fn path(&self) -> &[u8] {
        match self.parts.path.of(&self.bytes) {
            // `http://host` and `http://host?query` (RFC 9110 section 4.2.3)
            [] => b"/",
            path => path,
        }
    }

    /// What stands after the first `?` of the target, as it came; `None` without a `?`.
    pub fn query(&self) -> Option<&[u8]> {
        self.parts.query.map(|query| query.of(&self.bytes))
    }

    /// The version of the request.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whom the request is for: from an absolute target if it is one, else from `Host`. `None` without either, which
    /// HTTP/1.0 may do, and for an empty `Host`.
    pub fn host(&self) -> Option<Host<'_>> {
        let host = self.host.as_ref().filter(|host| host.text.start < host.text.end)?;
        Some(Host { text: host.text.of(&self.bytes), name: host.name.of(&self.bytes), port: host.port })
    }

    /// The declared length of the body in bytes. `None` also for a chunked body.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Whether the body comes in chunks, its length unknown until its end.
    pub fn is_chunked(&self) -> bool {
        self.is_chunked
    }

    /// Whether a body follows that is not known to be empty.
    pub fn has_body(&self) -> bool {
        self.is_chunked || self.content_length.is_some_and(|length| length > 0)
    }

    /// Whether the peer would like to send another request on this connection.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// How many fields there are.
    pub fn header_count(&self) -> usize {
        self.fields.len()
    }

    /// Names and values of the fields in their order, values without the white space around them. Names are tokens in
    /// the peer's spelling. After an absolute target, `Host` has the target's host (RFC 9112 section 3.2.2).
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.fields.iter().map(|field| (field.name.of(&self.bytes), field.value.of(&self.bytes)))
    }

    /// The first field of this name, in any case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The method as the `http` crate has it. Allocates for methods of more than a few bytes that it does not know.
    pub fn http_method(&self) -> Method {
        Method::from_bytes(self.method()).expect("the method is a token: checked when the head was parsed")
    }

    /// The fields as the `http` crate has them. Allocates.
    pub fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.fields.len());
        for (name, value) in self.headers() {
            let name = HeaderName::from_bytes(name).expect("names are tokens: checked when the head was parsed");
            let value = HeaderValue::from_bytes(value).expect("values hold no controls: checked when it was parsed");
            map.append(name, value);
        }
        map
    }

    pub(crate) fn is_light(&self) -> bool {
        self.bytes_kept() <= LIGHT_BYTES
    }

    /// What it holds in memory, used or not.
    pub(crate) fn bytes_kept(&self) -> usize {
        self.bytes.capacity() + self.fields.capacity() * size_of::<Field>()
    }

    /// Ready for the next request, the allocations kept.
    pub(crate) fn clear(&mut self) {
        // Each by its name, so that a new one is not forgotten; a struct update would move both buffers out and in.
        let RequestHead {
            bytes,
            fields,
            method,
            target,
            parts,
            version,
            host,
            content_length,
            is_chunked,
            keep_alive,
            expects_continue,
        } = self;
        bytes.clear();
        fields.clear();
        (*method, *target, *parts, *version) = Default::default();
        (*host, *content_length) = (None, None);
        (*is_chunked, *keep_alive, *expects_continue) = (false, false, false);
    }
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method().escape_ascii(), self.target().escape_ascii(), self.version.as_str())?;
        self.headers().try_for_each(|(name, value)| write!(f, " {}: {}", name.escape_ascii(), value.escape_ascii()))
    }
}
