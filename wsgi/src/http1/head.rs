//! From the bytes of a complete head to a [`RequestHead`]: request line, fields, and what they mean for the framing.
//! The strictness of RFC 9112 is here; where a rule gives a choice, the one that no one can be smuggled past is taken.

use httparse::Header;

use super::bytes;
use super::config::Config;
use super::rejection::Rejection;
use super::request::{Field, HostSpans, RequestHead, Version};
use super::target::{self, Span, Target};

/// The parts of a request line, as ranges in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestLine {
    pub(crate) method: Span,
    pub(crate) target: Span,
    pub(crate) parts: Target,
    pub(crate) version: Version,
}

/// `method SP target SP version`, exactly (RFC 9112 section 3).
pub(crate) fn parse_request_line(line: &[u8], config: &Config) -> Result<RequestLine, Rejection> {
    const SHAPE: Rejection = Rejection::bad("the request line is not: method, space, target, space, version");
    let method_end = line.iter().position(|&byte| !bytes::is(byte, bytes::TOKEN)).ok_or(SHAPE)?;
    if method_end == 0 || line[method_end] != b' ' {
        return Err(SHAPE);
    }
    let start = method_end + 1;
    let end = start + memchr::memchr(b' ', &line[start..]).ok_or(SHAPE)?;
    let version = parse_version(&line[end + 1..])?;
    if start == end {
        return Err(SHAPE);
    }
    let parts = target::parse(&line[..method_end], &line[start..end])?;
    if config.refuse_brackets_in_targets {
        parts.check_brackets(&line[start..end])?;
    }
    let parts = Target {
        form: parts.form,
        authority: parts.authority.map(|span| span.shifted(start)),
        path: parts.path.shifted(start),
        query: parts.query.map(|span| span.shifted(start)),
    };
    Ok(RequestLine { method: Span::new(0, method_end), target: Span::new(start, end), parts, version })
}

fn parse_version(text: &[u8]) -> Result<Version, Rejection> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Rejection::new(505, "only HTTP/1.0 and HTTP/1.1 are served"))
        }
        _ => Err(Rejection::bad("the request line does not end in an HTTP version")),
    }
}

/// Fills `head`, whose `bytes` hold one whole head of `header_count` field lines, the first of them at `fields_start`.
pub(crate) fn parse_head(
    head: &mut RequestHead,
    line: &RequestLine,
    fields_start: usize,
    header_count: usize,
    config: &Config,
) -> Result<(), Rejection> {
    head.method = line.method;
    head.target = line.target;
    head.parts = line.parts;
    head.version = line.version;
    // Room for what came, on the stack: initialising more than that costs as much as the parsing.
    let facts = match header_count {
        0..=16 => parse_fields(head, fields_start, &mut [httparse::EMPTY_HEADER; 16], config),
        17..=128 => parse_fields(head, fields_start, &mut [httparse::EMPTY_HEADER; 128], config),
        _ => parse_fields(head, fields_start, &mut vec![httparse::EMPTY_HEADER; header_count], config),
    }?;
    facts.apply(head, config)
}

/// What the fields said, before it is judged together.
#[derive(Default)]
struct Facts {
    host: Option<usize>,
    hosts: u32,
    content_length: Option<u64>,
    transfer_encoding: Option<bool>,
    close: bool,
    keep_alive: bool,
    expect: Option<bool>,
}

fn parse_fields<'a>(
    head: &'a mut RequestHead,
    fields_start: usize,
    room: &mut [Header<'a>],
    config: &Config,
) -> Result<Facts, Rejection> {
    let RequestHead { bytes: all, fields, .. } = head;
    let all: &'a [u8] = all;
    let parsed = match httparse::parse_headers(&all[fields_start..], room) {
        Ok(httparse::Status::Complete((used, parsed))) if fields_start + used == all.len() => parsed,
        Ok(_) => return Err(Rejection::bad("the head ends before its empty line")),
        Err(error) => return Err(syntax_rejection(error)),
    };
    // Both are parts of one allocation, so the distance of their addresses is the position.
    let span_of = |part: &[u8]| {
        let start = part.as_ptr().addr() - all.as_ptr().addr();
        Span::new(start, start + part.len())
    };
    let mut facts = Facts::default();
    for header in parsed {
        let name = header.name.as_bytes();
        if !config.keep_underscore_headers && name.contains(&b'_') {
            continue;
        }
        facts.note(name, header.value, fields.len())?;
        fields.push(Field { name: span_of(name), value: span_of(header.value) });
    }
    Ok(facts)
}

fn syntax_rejection(error: httparse::Error) -> Rejection {
    match error {
        httparse::Error::HeaderName => Rejection::bad("a field line has no token before its colon"),
        httparse::Error::HeaderValue => Rejection::bad("a field value holds a control character"),
        httparse::Error::TooManyHeaders => Rejection::new(431, "too many header fields"),
        _ => Rejection::bad("the header section is malformed"),
    }
}

impl Facts {
    /// Takes note of the field that will stand at `index`. Names are told apart by their length first.
    #[inline]
    fn note(&mut self, name: &[u8], value: &[u8], index: usize) -> Result<(), Rejection> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.host = Some(index);
                self.hosts += 1;
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                let is_continue = self.expect.is_none() && value.eq_ignore_ascii_case(b"100-continue");
                self.expect = Some(is_continue);
            }
            10 if name.eq_ignore_ascii_case(b"connection") => self.note_connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = bytes::parse_digits_saturating(value);
                let length = length.ok_or(Rejection::bad("Content-Length is not a plain decimal number"))?;
                if self.content_length.replace(length).is_some() {
                    return Err(Rejection::bad("two Content-Length fields"));
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.transfer_encoding.replace(value.eq_ignore_ascii_case(b"chunked")).is_some() {
                    return Err(Rejection::bad("two Transfer-Encoding fields"));
                }
                if value.is_empty() {
                    return Err(Rejection::bad("Transfer-Encoding is empty"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(bytes::trim_ows) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Judges the fields together, and writes what they mean into `head`.
    fn apply(self, head: &mut RequestHead, config: &Config) -> Result<(), Rejection> {
        self.apply_host(head)?;
        self.apply_framing(head)?;
        head.keep_alive = !self.close && (head.version == Version::Http11 || self.keep_alive);
        if head.content_length.is_some_and(|length| length > config.body_bytes_max) {
            return Err(Rejection::new(413, "the declared body is too large"));
        }
        match self.expect {
            Some(false) => Err(Rejection::new(417, "the only expectation that can be met is 100-continue")),
            // An HTTP/1.0 client cannot read an interim response (RFC 9110 section 10.1.1).
            Some(true) => {
                head.expects_continue = head.version == Version::Http11 && head.has_body();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// RFC 9112 sections 3.2 and 3.2.2: one valid Host in HTTP/1.1, whatever the target; an absolute target's own host
    /// replaces it, so that nothing further on can see the other.
    fn apply_host(&self, head: &mut RequestHead) -> Result<(), Rejection> {
        if self.hosts > 1 {
            return Err(Rejection::bad("two Host fields"));
        }
        let Some(index) = self.host else {
            if head.version == Version::Http11 {
                return Err(Rejection::bad("HTTP/1.1 without a Host field"));
            }
            if let Some(authority) = head.parts.authority {
                let start = head.bytes.len();
                head.bytes.extend_from_slice(b"Host");
                head.fields.push(Field { name: Span::new(start, start + 4), value: authority });
                set_host(head, authority);
            }
            return Ok(());
        };
        let value = head.fields[index].value;
        set_host(head, value);
        if head.host.is_none() {
            return Err(Rejection::bad("the Host field is not a host and a port"));
        }
        if let Some(authority) = head.parts.authority {
            head.fields[index].value = authority;
            set_host(head, authority);
        }
        Ok(())
    }

    /// RFC 9112 section 6: what the body's length is. Two answers are none.
    fn apply_framing(&self, head: &mut RequestHead) -> Result<(), Rejection> {
        match (self.transfer_encoding, self.content_length) {
            (Some(_), Some(_)) => Err(Rejection::bad("both Content-Length and Transfer-Encoding")),
            (Some(_), None) if head.version == Version::Http10 => {
                Err(Rejection::bad("Transfer-Encoding in an HTTP/1.0 request"))
            }
            (Some(false), None) => Err(Rejection::new(501, "the only transfer coding served is chunked, alone")),
            (chunked, length) => {
                head.is_chunked = chunked.is_some();
                head.content_length = length;
                Ok(())
            }
        }
    }
}

fn set_host(head: &mut RequestHead, text: Span) {
    head.host = target::parse_host(text.of(&head.bytes)).map(|parts| HostSpans {
        text,
        name: parts.name.shifted(text.start as usize),
        port: parts.port,
    });
}
