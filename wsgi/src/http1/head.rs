//! From the bytes of a head to a [`RequestHead`]: request line, fields, and what they mean for the framing. The
//! strictness of RFC 9112 is here; where a rule gives a choice, the one that no one can be smuggled past is taken.
//!
//! The request line is read as soon as it is there; the fields (RFC 9112 section 5), by httparse, when they are all there:
//! it would begin anew with each piece that comes. It takes no leniency that it is not told to, but for line ends, which
//! are looked at here or in the scan.

use httparse::Header;

use super::bytes::{self, TOKEN, is_name};
use super::config::Config;
use super::rejection::Rejection;
use super::request::{Field, HostSpans, RequestHead, Version};
use super::target::{self, Span, Target};

/// A head of which the lines come in.
#[derive(Default)]
pub(crate) struct HeadParser {
    /// From the request line on.
    head: Option<Box<RequestHead>>,
    /// Where the first field line begins.
    fields_start: usize,
}

impl HeadParser {
    /// Whether a request line has been seen whose fields have not.
    pub(crate) fn has_begun(&self) -> bool {
        self.head.is_some()
    }

    /// The request line, without its line end. `spare` is a head whose memory is used again.
    pub(crate) fn request_line(
        &mut self,
        line: &[u8],
        spare: Option<Box<RequestHead>>,
        config: &Config,
    ) -> Result<(), Rejection> {
        self.fields_start = line.len() + 2;
        let head = self.head.insert(spare.unwrap_or_default());
        head.clear();
        parse_request_line(line, head, config)
    }

    /// The head is complete; these are its bytes, of `header_count` field lines.
    pub(crate) fn finish(
        &mut self,
        bytes: &[u8],
        header_count: usize,
        config: &Config,
    ) -> Result<Box<RequestHead>, Rejection> {
        // Room for what came, on the stack: initialising more than that costs as much as the parsing.
        match header_count {
            0..=8 => self.finish_in(&mut [httparse::EMPTY_HEADER; 8], bytes, config),
            9..=32 => self.finish_in(&mut [httparse::EMPTY_HEADER; 32], bytes, config),
            _ => self.finish_in(&mut vec![httparse::EMPTY_HEADER; header_count], bytes, config),
        }
    }

    fn finish_in<'a>(
        &mut self,
        room: &mut [Header<'a>],
        bytes: &'a [u8],
        config: &Config,
    ) -> Result<Box<RequestHead>, Rejection> {
        let fields = &bytes[self.fields_start..];
        match httparse::parse_headers(fields, room) {
            Ok(httparse::Status::Complete((used, parsed))) if used == fields.len() => {
                self.conclude(bytes, parsed, config)
            }
            Ok(_) => Err(Rejection::bad("the head ends before its empty line")),
            Err(error) => Err(syntax_rejection(error)),
        }
    }

    /// The head that `input` begins with, and its length, if it can be had without a look at its lines first: most heads
    /// come whole. `None` whenever something is not as it should be, also where this is not enough to tell: then the
    /// lines say what, and whatever is refused is refused there.
    ///
    /// To be asked once a head. Where it was for nothing, [`AT_ONCE_BYTES_MAX`] have been looked at once more.
    pub(crate) fn finish_at_once(
        &mut self,
        input: &[u8],
        config: &Config,
    ) -> Result<Option<(Box<RequestHead>, usize)>, Rejection> {
        // With an empty line at its end, there is a whole head in it.
        if !input.ends_with(b"\r\n\r\n") {
            return Ok(None);
        }
        // Lines of sixteen bytes or more have room.
        match input.len() - self.fields_start {
            0..=128 => self.finish_at_once_in(&mut [httparse::EMPTY_HEADER; 8], input, config),
            129..=AT_ONCE_BYTES_MAX => self.finish_at_once_in(&mut [httparse::EMPTY_HEADER; 32], input, config),
            _ => Ok(None),
        }
    }

    fn finish_at_once_in<'a>(
        &mut self,
        room: &mut [Header<'a>],
        input: &'a [u8],
        config: &Config,
    ) -> Result<Option<(Box<RequestHead>, usize)>, Rejection> {
        let Ok(httparse::Status::Complete((used, parsed))) = httparse::parse_headers(&input[self.fields_start..], room)
        else {
            return Ok(None);
        };
        let bytes = &input[..self.fields_start + used];
        if bytes.len() > config.head_bytes_max || parsed.len() > config.header_count_max || !is_in_lines(bytes, parsed)
        {
            return Ok(None);
        }
        self.conclude(bytes, parsed, config).map(|head| Some((head, bytes.len())))
    }

    /// The fields of a head, which has these bytes, are known.
    #[inline]
    fn conclude(
        &mut self,
        bytes: &[u8],
        parsed: &[Header<'_>],
        config: &Config,
    ) -> Result<Box<RequestHead>, Rejection> {
        let mut head = self.head.take().expect("the request line comes first");
        head.bytes.extend_from_slice(bytes);
        let mut facts = Facts::default();
        for header in parsed {
            let name = header.name.as_bytes();
            if !config.keep_underscore_headers && bytes::has(b'_', name) {
                continue;
            }
            facts.note(name, header.value, head.fields.len());
            head.fields.push(Field { name: span_in(bytes, name), value: span_in(bytes, header.value) });
        }
        facts.apply(&mut head, config)?;
        Ok(head)
    }
}

/// A head with more bytes of fields is looked at line by line: there must not be much to look at once more.
const AT_ONCE_BYTES_MAX: usize = 512;

/// Where `part` stands in `whole`. Both are parts of one allocation, so it is the distance of their addresses.
#[inline]
fn span_in(whole: &[u8], part: &[u8]) -> Span {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    Span::new(start, start + part.len())
}

/// Whether each line of `bytes` ends in CR LF, the first of which is known to and the others have these fields: httparse
/// also takes a LF alone. Nothing but spaces and a line end stands between a field and the next one's name.
fn is_in_lines(bytes: &[u8], parsed: &[Header<'_>]) -> bool {
    let follows_line = |header: &Header<'_>| bytes[span_in(bytes, header.name.as_bytes()).start as usize - 2] == b'\r';
    bytes.ends_with(b"\r\n\r\n") && parsed.iter().all(follows_line)
}

/// `method SP target SP version`, exactly (RFC 9112 section 3).
fn parse_request_line(line: &[u8], head: &mut RequestHead, config: &Config) -> Result<(), Rejection> {
    const SHAPE: Rejection = Rejection::bad("the request line is not: method, space, target, space, version");
    // Most are this, which one comparison tells.
    let method_end = if line.starts_with(b"GET ") { 3 } else { bytes::leading(line, TOKEN) };
    if method_end == 0 || line.get(method_end) != Some(&b' ') {
        return Err(SHAPE);
    }
    let start = method_end + 1;
    let end = start + bytes::find(b' ', &line[start..]).ok_or(SHAPE)?;
    head.version = parse_version(&line[end + 1..])?;
    if start == end {
        return Err(SHAPE);
    }
    let parts = target::parse(&line[..method_end], &line[start..end])?;
    if config.refuse_brackets_in_targets {
        parts.check_brackets(&line[start..end])?;
    }
    head.method = Span::new(0, method_end);
    head.target = Span::new(start, end);
    head.parts = Target {
        form: parts.form,
        authority: parts.authority.map(|span| span.shifted(start)),
        path: parts.path.shifted(start),
        query: parts.query.map(|span| span.shifted(start)),
    };
    Ok(())
}

fn parse_version(text: &[u8]) -> Result<Version, Rejection> {
    match text {
        // Comparisons, not patterns: those are matched byte by byte.
        _ if text == b"HTTP/1.1" => Ok(Version::Http11),
        _ if text == b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Rejection::new(505, "only HTTP/1.0 and HTTP/1.1 are served"))
        }
        _ => Err(Rejection::bad("the request line does not end in an HTTP version")),
    }
}

fn syntax_rejection(error: httparse::Error) -> Rejection {
    match error {
        httparse::Error::HeaderName => Rejection::bad("a field line has no token before its colon"),
        httparse::Error::HeaderValue => Rejection::bad("a field value holds a control character"),
        httparse::Error::TooManyHeaders => Rejection::new(431, "too many header fields"),
        _ => Rejection::bad("the header section is malformed"),
    }
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
    /// The first of them that cannot mean anything.
    refused: Option<Rejection>,
}

impl Facts {
    /// Takes note of the field that will stand at `index`. Names are told apart by their length first.
    #[inline]
    fn note(&mut self, name: &[u8], value: &[u8], index: usize) {
        match name.len() {
            4 if is_name(name, b"host") => {
                self.host = Some(index);
                self.hosts += 1;
            }
            6 if is_name(name, b"expect") => {
                let is_continue = self.expect.is_none() && value.eq_ignore_ascii_case(b"100-continue");
                self.expect = Some(is_continue);
            }
            10 if is_name(name, b"connection") => self.note_connection(value),
            14 if is_name(name, b"content-length") => {
                let Some(length) = bytes::parse_digits_saturating(value) else {
                    return self.refuse("Content-Length is not a plain decimal number");
                };
                if self.content_length.replace(length).is_some() {
                    self.refuse("two Content-Length fields");
                }
            }
            17 if is_name(name, b"transfer-encoding") => {
                if self.transfer_encoding.replace(value.eq_ignore_ascii_case(b"chunked")).is_some() {
                    self.refuse("two Transfer-Encoding fields");
                } else if value.is_empty() {
                    self.refuse("Transfer-Encoding is empty");
                }
            }
            _ => {}
        }
    }

    /// A field's meaning is refused once the head is there: what is wrong with the form of a later line comes first.
    fn refuse(&mut self, reason: &'static str) {
        self.refused.get_or_insert(Rejection::bad(reason));
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(bytes::trim_ows) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Judges the fields together, and writes what they mean into `head`.
    fn apply(&self, head: &mut RequestHead, config: &Config) -> Result<(), Rejection> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let mut parser = HeadParser::default();
        let config = Config { keep_underscore_headers: true, ..Config::default() };
        parser.request_line(b"GET / HTTP/1.0", None, &config).expect("a plain request line");
        let told = match parser.finish(format!("GET / HTTP/1.0\r\n{line}\r\n\r\n").as_bytes(), 1, &config) {
            Ok(head) => head
                .headers()
                .map(|(name, value)| format!("{} {}", name.escape_ascii(), value.escape_ascii()))
                .collect(),
            Err(rejection) => rejection.reason.to_owned(),
        };
        assert_eq!(told, expected, "{line:?}");
    }

    /// A head with these fields: what is found out at once, and in two steps.
    fn both_ways(fields: &str, config: &Config) -> (Option<String>, String) {
        let text = format!("GET / HTTP/1.1\r\n{fields}");
        let parser = || {
            let mut parser = HeadParser::default();
            parser.request_line(b"GET / HTTP/1.1", None, config).expect("a plain request line");
            parser
        };
        let at_once = parser().finish_at_once(text.as_bytes(), config).map(|found| {
            found.map(|(head, bytes)| {
                assert_eq!(head.bytes.len(), bytes);
                format!("{head:?}")
            })
        });
        let end = text.find("\r\n\r\n").map_or(text.len(), |at| at + 4);
        let in_steps = parser().finish(&text.as_bytes()[..end], 40, config).map(|head| format!("{head:?}"));
        let told = |result: Result<_, Rejection>| result.unwrap_or_else(|rejection| rejection.to_string().into());
        (told(at_once), told(in_steps.map(Some)).expect("it is some"))
    }

    #[test]
    fn a_head_that_came_whole_is_the_same_as_one_that_did_not() {
        let config = Config::default();
        let (long, many) = (format!("Host: h\r\nX: {}\r\n\r\n", "v".repeat(150)), "Host: h\r\n".repeat(20) + "\r\n");
        let fields =
            ["Host: h\r\n\r\n", "\r\n", "Host: h\r\nX:\r\nY_Z: 1 \r\n\r\n", "Host: h\r\n\r\nGET / HTTP/1.1\r\n\r\n"];
        for fields in fields.into_iter().chain([long.as_str(), many.as_str()]) {
            let (at_once, in_steps) = both_ways(fields, &config);
            assert_eq!(at_once, Some(in_steps), "{fields:?}");
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_not_read_at_once() {
        let bare =
            ["Host: h\n\r\n\r\n", "\nX: y\r\n\r\n", "Host: h\r\nX:\nY: z\r\n\r\n", "Host: h\r\nX: y\n\n\r\n\r\n"];
        let bad = ["Host: h\r\n folded\r\n\r\n", "Host: h\r\nX : y\r\n\r\n", "Host: h\r\nX: \0\r\n\r\n"];
        let (large, short) = (format!("X: {}\r\n\r\n", "v".repeat(600)), "X:y\r\n".repeat(9) + "\r\n");
        let not_enough = ["Host: h\r\n\r\nhello", "Host: h\r\n", "", large.as_str(), short.as_str()];
        for fields in bare.into_iter().chain(bad).chain(not_enough) {
            assert_eq!(both_ways(fields, &Config::default()).0, None, "{fields:?}");
        }
        let fields = "Host: h\r\nX: y\r\n\r\n";
        let bytes = "GET / HTTP/1.1\r\n".len() + fields.len();
        for (head_bytes_max, header_count_max, is_read) in [(bytes, 2, true), (bytes - 1, 2, false), (bytes, 1, false)]
        {
            let config = Config { head_bytes_max, header_count_max, ..Config::default() };
            assert_eq!(both_ways(fields, &config).0.is_some(), is_read);
        }
    }

    #[test]
    fn a_field_line_has_a_token_a_colon_and_a_value() {
        check("X-H: h", "X-H h");
        check("X_a:\t b c \t", "X_a b c");
        check("_:", "_ ");
        for line in [":", ": v", "X", "X : v", " X: v", "X\t: v", "X@: v", "X\r: v"] {
            check(line, "a field line has no token before its colon");
        }
        for line in ["X: \0", "X: a\rb", "X: a\r", "X:\x0b", "X: \x7f"] {
            check(line, "a field value holds a control character");
        }
        check("\rX: v", "the header section is malformed");
    }
}
