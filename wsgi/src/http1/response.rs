//! Response heads: built and checked where the application runs, before a byte is sent, so that nothing that an
//! application says can split or reframe a response.

use std::fmt;

use super::bytes::{self, is_name};

/// Status and fields of one response, already in the form that goes onto the wire.
///
/// What frames the message is not the application's: `Content-Length` is kept as a number and written by the
/// connection; hop-by-hop fields are refused (PEP 3333, "Other HTTP Features").
///
/// ```
/// use handwound_wsgi::http1::ResponseHead;
///
/// let mut head = ResponseHead::new("200 OK")?;
/// head.push("Content-Type", "text/plain")?;
/// head.set_content_length_if_absent(13);
/// assert_eq!((head.status(), head.content_length()), (200, Some(13)));
/// assert!(head.push("X-A", "a\r\nX-B: b").is_err());
/// # Ok::<(), handwound_wsgi::http1::BadResponse>(())
/// ```
#[derive(Clone)]
pub struct ResponseHead(
    // It goes from the application through the exchange to the connection and back for its memory, in six moves of
    // eight bytes and not of 64.
    Box<Parts>,
);

#[derive(Clone)]
struct Parts {
    status: u16,
    /// `HTTP/1.1 200 OK\r\nName: value\r\n`…
    block: Vec<u8>,
    header_count: usize,
    content_length: Option<u64>,
    has_date: bool,
    has_server: bool,
    keeps_date_and_server: bool,
}

/// What most heads need, in bytes; an idle connection keeps no more of its last one.
const LIGHT_BYTES: usize = 256;

/// What a field name means to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// PEP 3333 forbids it to applications: those of `wsgiref.util.is_hop_by_hop`.
    HopByHop,
    ContentLength,
    Date,
    Server,
    /// Nothing.
    Own,
}

impl Meaning {
    /// What `name` means, if it is one of those that are known here, which are tokens. By the length first: most names
    /// then need one comparison, and the most frequent ones no look at each of their bytes.
    #[inline]
    fn of(name: &[u8]) -> Option<Meaning> {
        match name.len() {
            2 if is_name(name, b"te") => Some(Meaning::HopByHop),
            4 if is_name(name, b"date") => Some(Meaning::Date),
            6 if is_name(name, b"server") => Some(Meaning::Server),
            7 if is_name(name, b"upgrade") => Some(Meaning::HopByHop),
            8 if is_name(name, b"trailers") => Some(Meaning::HopByHop),
            10 if is_name(name, b"connection") || is_name(name, b"keep-alive") => Some(Meaning::HopByHop),
            12 if is_name(name, b"content-type") => Some(Meaning::Own),
            14 if is_name(name, b"content-length") => Some(Meaning::ContentLength),
            17 if is_name(name, b"transfer-encoding") => Some(Meaning::HopByHop),
            18 if is_name(name, b"proxy-authenticate") => Some(Meaning::HopByHop),
            19 if is_name(name, b"proxy-authorization") => Some(Meaning::HopByHop),
            _ => None,
        }
    }
}

impl ResponseHead {
    /// A head with this status and no fields. `status` is `ddd reason`, as WSGI has it; the reason may be empty, its
    /// space may not be missing.
    ///
    /// # Errors
    ///
    /// The application's fault: not of that form, or not a final status from 200 to 999 (RFC 9110 section 15).
    pub fn new(status: impl AsRef<[u8]>) -> Result<ResponseHead, BadResponse> {
        let status = status.as_ref();
        let code = parse_status(status)?;
        let mut head = ResponseHead::empty();
        head.start(code, status);
        Ok(head)
    }

    /// Starts over with another status; the allocation and the choice about Date and Server are kept.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). The head is then an empty 500.
    pub fn reset(&mut self, status: impl AsRef<[u8]>) -> Result<(), BadResponse> {
        let checked = parse_status(status.as_ref());
        let (code, text) = match &checked {
            Ok(code) => (*code, status.as_ref()),
            Err(_) => (500, &b"500 Internal Server Error"[..]),
        };
        self.start(code, text);
        checked.map(|_| ())
    }

    /// Keeps the application's own `Date` and `Server` fields from now on, instead of dropping them.
    pub fn keep_date_and_server(&mut self, keep: bool) {
        self.0.keeps_date_and_server = keep;
    }

    /// Adds a field, behind the others. Name and value are bytes as they go onto the wire: latin-1, for a WSGI `str`.
    /// `Date` and `Server` are accepted and dropped, unless they are [kept](Self::keep_date_and_server).
    ///
    /// # Errors
    ///
    /// The application's fault, and the head is as before: a name that is no token, a control character in the value, a
    /// hop-by-hop field, a `Content-Length` that is no number or not the first.
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), BadResponse> {
        let (name, value) = (name.as_ref(), value.as_ref());
        let meaning = Meaning::of(name);
        if meaning.is_none() && !bytes::is_token(name) {
            return Err(BadResponse::new(Rule::Name, name));
        }
        if !bytes::is_field_value(value) {
            return Err(BadResponse::new(Rule::Value(shown(name)), value));
        }
        match meaning.unwrap_or(Meaning::Own) {
            Meaning::Own => {}
            Meaning::HopByHop => return Err(BadResponse::new(Rule::HopByHop, name)),
            Meaning::ContentLength => return self.push_content_length(value),
            Meaning::Date | Meaning::Server if !self.0.keeps_date_and_server => return Ok(()),
            Meaning::Date => self.0.has_date = true,
            Meaning::Server => self.0.has_server = true,
        }
        self.0.header_count += 1;
        self.0.block.extend_from_slice(name);
        self.0.block.extend_from_slice(b": ");
        self.0.block.extend_from_slice(value);
        self.0.block.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Declares the length of the body in bytes, unless the application did.
    pub fn set_content_length_if_absent(&mut self, length: u64) {
        self.0.content_length.get_or_insert(length);
    }

    /// Whether there is a field of this name.
    pub fn has_field(&self, name: &[u8]) -> bool {
        if is_name(name, b"content-length") {
            return self.0.content_length.is_some();
        }
        let mut lines = self.0.block.split(|&byte| byte == b'\n').skip(1);
        lines.any(|line| line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name))
    }

    /// The status code, from 200 to 999.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The declared length of the body in bytes.
    pub fn content_length(&self) -> Option<u64> {
        self.0.content_length
    }

    /// How many fields have been added, without `Content-Length` and those that were dropped.
    pub fn header_count(&self) -> usize {
        self.0.header_count
    }

    /// Status line and fields, each with its line end; no empty line.
    pub(crate) fn block(&self) -> &[u8] {
        &self.0.block
    }

    /// Whether an idle connection may keep it for its memory.
    pub(crate) fn is_light(&self) -> bool {
        self.0.block.capacity() <= LIGHT_BYTES
    }

    pub(crate) fn has_date(&self) -> bool {
        self.0.has_date
    }

    pub(crate) fn has_server(&self) -> bool {
        self.0.has_server
    }

    /// One that has yet to be started.
    fn empty() -> ResponseHead {
        ResponseHead(Box::new(Parts {
            status: 0,
            block: Vec::with_capacity(LIGHT_BYTES),
            header_count: 0,
            content_length: None,
            has_date: false,
            has_server: false,
            keeps_date_and_server: false,
        }))
    }

    fn start(&mut self, code: u16, text: &[u8]) {
        self.0.status = code;
        self.0.header_count = 0;
        self.0.content_length = None;
        self.0.has_date = false;
        self.0.has_server = false;
        self.0.block.clear();
        self.0.block.extend_from_slice(b"HTTP/1.1 ");
        self.0.block.extend_from_slice(text);
        self.0.block.extend_from_slice(b"\r\n");
    }

    fn push_content_length(&mut self, value: &[u8]) -> Result<(), BadResponse> {
        let length = bytes::parse_digits_saturating(value).filter(|&length| length < u64::MAX);
        let length = length.ok_or_else(|| BadResponse::new(Rule::ContentLength, value))?;
        if self.0.content_length.is_some() {
            return Err(BadResponse::new(Rule::SecondContentLength, value));
        }
        self.0.content_length = Some(length);
        Ok(())
    }
}

/// An empty 500.
impl Default for ResponseHead {
    fn default() -> ResponseHead {
        let mut head = ResponseHead::empty();
        head.start(500, b"500 Internal Server Error");
        head
    }
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} content-length={:?}", self.0.block.escape_ascii(), self.0.content_length)
    }
}

fn parse_status(status: &[u8]) -> Result<u16, BadResponse> {
    let bad = |rule| Err(BadResponse::new(rule, status));
    let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', reason @ ..] = status else {
        return bad(Rule::Status);
    };
    if !bytes::is_field_value(reason) {
        return bad(Rule::Status);
    }
    let code = [a, b, c].iter().fold(0, |sum, digit| sum * 10 + u16::from(*digit - b'0'));
    if code < 200 { bad(Rule::NotFinal) } else { Ok(code) }
}

/// What an application said that must not go onto the wire: the application's fault, nothing was sent. It prints the
/// rule and the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadResponse {
    rule: Rule,
    value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Status,
    NotFinal,
    Name,
    Value(String),
    HopByHop,
    ContentLength,
    SecondContentLength,
}

impl BadResponse {
    fn new(rule: Rule, value: &[u8]) -> BadResponse {
        BadResponse { rule, value: shown(value) }
    }
}

/// `bytes` for a log: escaped, and not at any length.
fn shown(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 80;
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    format!("'{}'{}", cut.escape_ascii(), if cut.len() < bytes.len() { "…" } else { "" })
}

impl fmt::Display for BadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = &self.value;
        match &self.rule {
            Rule::Status => write!(f, "status {value} is not three digits, a space and a reason, as in '200 OK'"),
            Rule::NotFinal => write!(f, "status {value} is not final; an application may send 200 and above"),
            Rule::Name => write!(f, "header name {value} is not a token; use letters, digits and '-'"),
            Rule::Value(name) => write!(f, "value {value} of header {name} holds a control character"),
            Rule::HopByHop => write!(f, "header {value} is hop-by-hop and the server's alone; leave it out"),
            Rule::ContentLength => write!(f, "content-length {value} is not a number of bytes"),
            Rule::SecondContentLength => write!(f, "content-length {value} comes second; one is enough"),
        }
    }
}

impl std::error::Error for BadResponse {}
