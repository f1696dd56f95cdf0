//! Requests, read from the grammar with the whole input at hand. Written to be checked by eye, line by line against
//! RFC 9110 and 9112; it shares no code with what it judges.

use handwound_wsgi::http1::{Config, RequestHead, Version};

use crate::chunks::{self, Step};
use crate::url::{self, Host};

/// Empty lines that may stand before a request.
const EMPTY_LINES: usize = 4;

/// The bounds that requests must keep.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request line without its end.
    pub line_bytes: usize,
    /// Bytes of a head with its empty line.
    pub head_bytes: usize,
    /// Field lines of a head or of a trailer section.
    pub fields: usize,
    /// Bytes of a decoded body.
    pub body_bytes: u64,
    /// Bytes of the chunk extensions of one body.
    pub extension_bytes: usize,
    /// Bytes of a trailer section with its empty line.
    pub trailer_bytes: usize,
    /// Requests on one connection.
    pub requests: Option<u64>,
    /// Whether names with `_` are kept.
    pub underscores: bool,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Limits {
        Limits {
            line_bytes: config.request_line_bytes_max,
            head_bytes: config.head_bytes_max,
            fields: config.header_count_max,
            body_bytes: config.body_bytes_max,
            extension_bytes: config.chunk_extension_bytes_max,
            trailer_bytes: config.trailer_bytes_max,
            requests: config.requests_per_connection_max,
            underscores: config.keep_underscore_headers,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::from(&Config::default())
    }
}

/// One request, as anyone who reads it must understand it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// As it came.
    pub method: Vec<u8>,
    /// As it came.
    pub target: Vec<u8>,
    /// Still encoded.
    pub path: Vec<u8>,
    /// As it came.
    pub query: Option<Vec<u8>>,
    /// HTTP/1.1, not 1.0.
    pub is_11: bool,
    /// Whom it is for, unless that is empty.
    pub host: Option<Host>,
    /// Names and values in order, the host replaced by that of an absolute target.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The declared length of the body.
    pub length: Option<u64>,
    /// A chunked body.
    pub chunked: bool,
    /// The client would like to go on.
    pub keep_alive: bool,
    /// The client waits for `100 Continue`.
    pub continues: bool,
    /// What there is of the body.
    pub body: Vec<u8>,
}

impl From<&RequestHead> for Asked {
    fn from(head: &RequestHead) -> Asked {
        let host = head.host().map(|host| Host { text: host.text.to_vec(), name: host.name.to_vec(), port: host.port });
        Asked {
            method: head.method().to_vec(),
            target: head.target().to_vec(),
            path: head.path().to_vec(),
            query: head.query().map(<[u8]>::to_vec),
            is_11: head.version() == Version::Http11,
            host,
            fields: head.headers().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
            length: head.content_length(),
            chunked: head.is_chunked(),
            keep_alive: head.keep_alive(),
            continues: false,
            body: Vec::new(),
        }
    }
}

impl Asked {
    /// A HEAD request.
    pub fn is_head(&self) -> bool {
        self.method == b"HEAD"
    }

    /// Whether `head` says the same. What a body brings is not compared.
    pub fn is(&self, head: &RequestHead) -> bool {
        let host = head.host().map(|host| (host.text, host.name, host.port));
        self.method == head.method()
            && self.target == head.target()
            && self.path == head.path()
            && self.query.as_deref() == head.query()
            && self.is_11 == (head.version() == Version::Http11)
            && self.host.as_ref().map(|host| (&host.text[..], &host.name[..], host.port)) == host
            && self.fields.iter().map(|(name, value)| (&name[..], &value[..])).eq(head.headers())
            && (self.length, self.chunked) == (head.content_length(), head.is_chunked())
            && self.keep_alive == head.keep_alive()
    }

    /// The request as a client without habits would send it: one space after each colon, one chunk.
    pub fn to_bytes(&self) -> Vec<u8> {
        let version = if self.is_11 { b" HTTP/1.1\r\n" } else { b" HTTP/1.0\r\n" };
        let mut text = [&self.method[..], b" ", &self.target, version].concat();
        for (name, value) in &self.fields {
            for part in [&name[..], b": ", value, b"\r\n"] {
                text.extend_from_slice(part);
            }
        }
        text.extend_from_slice(b"\r\n");
        if !self.chunked {
            text.extend_from_slice(&self.body);
            return text;
        }
        if !self.body.is_empty() {
            text.extend_from_slice(format!("{:x}\r\n", self.body.len()).as_bytes());
            text.extend_from_slice(&self.body);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"0\r\n\r\n");
        text
    }
}

/// How a stream of requests ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In the middle of something that may be refused already, or not yet.
    Undecided,
    /// Between requests; the next may come.
    Open,
    /// What follows is refused.
    Refused,
    /// The connection is over, orderly; this many bytes follow.
    Closed(usize),
}

/// What a stream of bytes asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The complete requests.
    pub requests: Vec<Asked>,
    /// A request whose head is valid and whose body is not there, or not valid.
    pub begun: Option<Asked>,
    /// How it ends.
    pub end: End,
}

/// Reads all of `stream`. `ended` tells that nothing will follow; `closes`, whether the response to a request ends
/// the connection although both sides would go on.
pub fn read(stream: &[u8], limits: &Limits, ended: bool, closes: impl Fn(&Asked) -> bool) -> Reading {
    let mut reading = Reading { requests: Vec::new(), begun: None, end: End::Open };
    let mut rest = stream;
    let starved = if ended { End::Refused } else { End::Undecided };
    loop {
        let mut empty_lines = 0;
        while let Some(after) = rest.strip_prefix(b"\r\n") {
            empty_lines += 1;
            rest = after;
        }
        if empty_lines > EMPTY_LINES {
            reading.end = End::Refused;
            return reading;
        }
        if rest.is_empty() {
            reading.end = if ended { End::Closed(0) } else { End::Open };
            return reading;
        }
        let mut asked = match head(rest, limits) {
            Step::Done(asked, used) => {
                rest = &rest[used..];
                asked
            }
            Step::Bad => {
                reading.end = End::Refused;
                return reading;
            }
            Step::More => {
                reading.end = starved;
                return reading;
            }
        };
        match body(rest, limits, &mut asked) {
            Step::Done((), used) => rest = &rest[used..],
            outcome => {
                reading.end = if outcome == Step::Bad { End::Refused } else { starved };
                reading.begun = Some(asked);
                return reading;
            }
        }
        let is_last = !asked.keep_alive
            || closes(&asked)
            || limits.requests.is_some_and(|requests| reading.requests.len() as u64 + 1 >= requests);
        reading.requests.push(asked);
        if is_last {
            reading.end = End::Closed(rest.len());
            return reading;
        }
    }
}

fn body(rest: &[u8], limits: &Limits, asked: &mut Asked) -> Step<()> {
    if asked.chunked {
        return chunks::read(rest, limits, &mut asked.body);
    }
    let length = asked.length.unwrap_or(0) as usize;
    asked.body = rest[..length.min(rest.len())].to_vec();
    if asked.body.len() < length { Step::More } else { Step::Done((), length) }
}

/// A head at the start of `text`, where no empty line stands.
pub fn head(text: &[u8], limits: &Limits) -> Step<Asked> {
    let mut lines = Vec::new();
    let mut used = 0;
    loop {
        match chunks::line(&text[used..]) {
            Step::Done(line, length) => {
                used += length;
                if line.is_empty() {
                    break;
                }
                lines.push(line);
            }
            Step::Bad => return Step::Bad,
            Step::More => return Step::More,
        }
    }
    match whole_head(&lines, used, limits) {
        Some(asked) => Step::Done(asked, used),
        None => Step::Bad,
    }
}

fn whole_head(lines: &[&[u8]], head_bytes: usize, limits: &Limits) -> Option<Asked> {
    let (line, field_lines) = lines.split_first()?;
    if line.len() > limits.line_bytes || head_bytes > limits.head_bytes || field_lines.len() > limits.fields {
        return None;
    }
    let parts: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = parts[..] else { return None };
    let is_11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return None,
    };
    if !is_token(method) {
        return None;
    }
    let where_to = url::target(method, target)?;
    let mut fields = Vec::new();
    for line in field_lines {
        let (name, value) = field_line(line)?;
        if limits.underscores || !name.contains(&b'_') {
            fields.push((name.to_vec(), value.to_vec()));
        }
    }
    let mut asked = Asked {
        method: method.to_vec(),
        target: target.to_vec(),
        path: where_to.path,
        query: where_to.query,
        is_11,
        fields,
        ..Asked::default()
    };
    judge_host(&mut asked, where_to.authority)?;
    judge_framing(&mut asked, limits)?;
    Some(asked)
}

fn judge_host(asked: &mut Asked, authority: Option<Vec<u8>>) -> Option<()> {
    let hosts = values(asked, b"host");
    let named = match (&hosts[..], asked.is_11) {
        ([one], _) => Some(url::host(one)?),
        ([], false) => None,
        _ => return None,
    };
    asked.host = match authority {
        Some(authority) => {
            match asked.fields.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(b"host")) {
                Some((_, value)) => *value = authority.clone(),
                None => asked.fields.push((b"Host".to_vec(), authority.clone())),
            }
            Some(url::host(&authority)?)
        }
        None => named.filter(|host| !host.text.is_empty()),
    };
    Some(())
}

fn judge_framing(asked: &mut Asked, limits: &Limits) -> Option<()> {
    match &values(asked, b"content-length")[..] {
        [] => {}
        [one] if !one.is_empty() && one.iter().all(u8::is_ascii_digit) => {
            // Too many digits for 64 bits are over any limit.
            asked.length = Some(std::str::from_utf8(one).ok()?.parse().ok()?);
            asked.length.filter(|length| *length <= limits.body_bytes)?;
        }
        _ => return None,
    }
    match &values(asked, b"transfer-encoding")[..] {
        [] => {}
        [one] if one.eq_ignore_ascii_case(b"chunked") && asked.length.is_none() && asked.is_11 => asked.chunked = true,
        _ => return None,
    }
    match &values(asked, b"expect")[..] {
        [] => {}
        [one] if one.eq_ignore_ascii_case(b"100-continue") => {
            asked.continues = asked.is_11 && (asked.chunked || asked.length.unwrap_or(0) > 0);
        }
        _ => return None,
    }
    let mut options = Vec::new();
    for value in values(asked, b"connection") {
        options.extend(value.split(|&byte| byte == b',').map(|option| trimmed(option).to_ascii_lowercase()));
    }
    let has = |option: &[u8]| options.iter().any(|found| found == option);
    asked.keep_alive = !has(b"close") && (asked.is_11 || has(b"keep-alive"));
    Some(())
}

fn values(asked: &Asked, wanted: &[u8]) -> Vec<Vec<u8>> {
    let of_name = |(name, _): &&(Vec<u8>, Vec<u8>)| name.eq_ignore_ascii_case(wanted);
    asked.fields.iter().filter(of_name).map(|(_, value)| value.clone()).collect()
}

/// `name ":" OWS value OWS`; the line has no CR and no LF.
pub fn field_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    (is_token(name) && value.iter().all(|byte| is_text(*byte))).then(|| (name, trimmed(value)))
}

/// Without the spaces and tabs around it.
pub fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// RFC 9110 section 5.6.2.
pub fn is_token(text: &[u8]) -> bool {
    let is_mark = |byte: &u8| b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

/// What may stand in a field value or a quoted string: no control character but the tab.
pub fn is_text(byte: u8) -> bool {
    byte == b'\t' || !(byte < 0x20 || byte == 0x7f)
}

/// A hexadecimal digit.
pub fn is_hex(byte: u8) -> bool {
    b"0123456789abcdefABCDEF".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &str, requests: usize, end: End) {
        let reading = read(stream.as_bytes(), &Limits::default(), false, |_| false);
        assert_eq!((reading.requests.len(), reading.end), (requests, end), "{stream:?}");
    }

    #[test]
    fn streams_are_counted_and_ended() {
        check("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 1, End::Open);
        check("GET / HTTP/1.0\r\n\r\nx", 1, End::Closed(1));
        check("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET", 1, End::Undecided);
        for bad in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx",
            "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\nx",
            "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\n\r\n",
            "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n",
        ] {
            check(bad, 0, End::Refused);
        }
    }
}
