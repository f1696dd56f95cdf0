use handwound_reactor::Time;
use handwound_wsgi::http1::{BodyFit, Closing, Connection, Event, Finish, ResponseHead};

use crate::answers::{self, Answer, Framing};
use crate::grammar::{is_text, is_token, trimmed};
use crate::{config, control, drive};

const REQUESTS: [&str; 6] = [
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
];
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n";
const HOP_BY_HOP: &str =
    " connection keep-alive proxy-authenticate proxy-authorization te trailers transfer-encoding upgrade ";

/// `request, flags, piece length`, then parts with 0xff between them: status, body, and names and values in turn.
pub fn response(data: &[u8]) {
    let ([request, flags, piece], rest) = control::<3>(data);
    let mut parts = rest.split(|&byte| byte == 0xff);
    let (status, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Some((head, fields, length)) = make_head(status, parts, flags) else { return };
    let request = usize::from(request) % REQUESTS.len();
    let exchange = Exchange { request, fails: flags & 2 != 0, flags, piece: usize::from(piece) + 1, length };
    exchange.run(&head, body, |answer| check_head(answer, status, &fields, flags));
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The head that is made of these parts, the fields that have to be in it, and the declared length: each part is taken
/// or refused as the rules say.
fn make_head<'a>(
    status: &[u8],
    mut parts: impl Iterator<Item = &'a [u8]>,
    flags: u8,
) -> Option<(ResponseHead, Fields, Option<u64>)> {
    let keeps = flags & 1 != 0;
    let made = ResponseHead::new(status);
    if let Some(rule) = status_rule(status) {
        assert_names(&made.expect_err("a status that breaks a rule").to_string(), rule);
        let mut head = ResponseHead::new("200 OK").expect("a good status");
        head.push("X", "y").expect("a good field");
        assert!(head.reset(status).is_err());
        assert_eq!((head.status(), head.header_count(), head.content_length()), (500, 0, None));
        return None;
    }
    let mut head = made.expect("a status that breaks no rule");
    head.keep_date_and_server(keeps);
    let (mut fields, mut length) = (Vec::new(), None);
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let pushed = head.push(name, value);
        if let Some(rule) = field_rule(name, value, length.is_some()) {
            assert_names(&pushed.expect_err("a field that breaks a rule").to_string(), rule);
            continue;
        }
        pushed.expect("a field that breaks no rule");
        match name.to_ascii_lowercase().as_slice() {
            b"content-length" => length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
            b"date" | b"server" if !keeps => {}
            _ => fields.push((name.to_vec(), trimmed(value).to_vec())),
        }
    }
    assert_eq!((head.header_count(), head.content_length()), (fields.len(), length));
    Some((head, fields, length))
}

fn assert_names(text: &str, rule: &str) {
    assert!(text.contains(rule), "{text:?} does not say: {rule}");
    assert!(!text.chars().any(char::is_control), "{text:?} is no line for a log");
}

fn status_rule(status: &[u8]) -> Option<&'static str> {
    const FORM: &str = "is not three digits, a space and a reason";
    let Some((code, reason)) = status.split_at_checked(4) else { return Some(FORM) };
    if !code[..3].iter().all(u8::is_ascii_digit) || code[3] != b' ' || !reason.iter().all(|byte| is_text(*byte)) {
        return Some(FORM);
    }
    (code[0] < b'2').then_some("is not final")
}

fn field_rule(name: &[u8], value: &[u8], has_length: bool) -> Option<&'static str> {
    if !is_token(name) {
        return Some("is not a token");
    }
    if !value.iter().all(|byte| is_text(*byte)) {
        return Some("holds a control character");
    }
    let lower = String::from_utf8_lossy(name).to_lowercase();
    if HOP_BY_HOP.contains(&format!(" {lower} ")) {
        return Some("is hop-by-hop");
    }
    if lower != "content-length" {
        return None;
    }
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
    let is_number = value.iter().all(u8::is_ascii_digit) && number.is_some_and(|number| number < u64::MAX);
    match (is_number, has_length) {
        (false, _) => Some("is not a number of bytes"),
        (true, true) => Some("comes second"),
        (true, false) => None,
    }
}

struct Exchange {
    request: usize,
    fails: bool,
    flags: u8,
    piece: usize,
    length: Option<u64>,
}

impl Exchange {
    fn is_head(&self) -> bool {
        REQUESTS[self.request].starts_with("HEAD")
    }

    /// Sends the response, and if the connection goes on another one; checks both, the first one's head with `check`.
    fn run(&self, head: &ResponseHead, body: &[u8], check: impl FnOnce(&Answer<'_>)) {
        let mut connection = Connection::new(config(self.flags & 4), Time::ZERO);
        connection.receive([REQUESTS[self.request], NEXT].concat().as_bytes(), Time::ZERO);
        assert!(!polled(&mut connection).is_empty(), "a request is there");
        connection.respond(head, drive::wall());
        let (omitted, surplus) = self.send(&mut connection, body);
        if self.fails {
            connection.fail();
        } else {
            self.finish(&mut connection, body, omitted);
        }
        let goes_on = connection.closing().is_none();
        if goes_on {
            assert_eq!(polled(&mut connection), b"/next", "the next request is not skewed");
            let mut next = ResponseHead::new("200 OK").expect("a good status");
            next.set_content_length_if_absent(4);
            connection.respond(&next, drive::wall());
            assert_eq!(connection.send_body(b"next"), BodyFit::Whole);
            assert_eq!(connection.finish(Time::ZERO), Finish::Complete);
        }
        let output = std::mem::take(connection.output());
        let read = answers::read(&output, |index| index == 0 && self.is_head()).expect("it reads strictly");
        assert!(!read.is_cut && read.finals.len() == 1 + usize::from(goes_on), "{}", output.escape_ascii());
        if goes_on {
            assert_eq!(read.finals[1].body, b"next");
        }
        let answer = read.finals.into_iter().next().expect("counted above");
        self.check_body(&answer, body, surplus);
        assert_eq!(answer.closes || self.fails || !answer.whole, !goes_on);
        if self.fails {
            assert!(!answer.whole || connection.closing() == Some(Closing::Abort), "a broken response looks whole");
        }
        check(&answer);
    }

    fn send(&self, connection: &mut Connection, body: &[u8]) -> (bool, u64) {
        let (mut omitted, mut surplus) = (false, 0);
        for piece in body.chunks(self.piece) {
            match connection.send_body(piece) {
                BodyFit::Whole => {}
                BodyFit::Omitted => omitted = true,
                BodyFit::Cut { surplus_bytes } => surplus += surplus_bytes,
            }
            assert!(matches!(connection.send_body(b""), BodyFit::Whole | BodyFit::Omitted));
        }
        (omitted, surplus)
    }

    fn finish(&self, connection: &mut Connection, body: &[u8], omitted: bool) {
        let finish = connection.finish(Time::ZERO);
        match finish {
            Finish::Complete => {}
            Finish::Short { missing_bytes } => {
                assert_eq!(self.length, Some(body.len() as u64 + missing_bytes));
                assert!(missing_bytes > 0 && !omitted);
                assert!(matches!(connection.closing(), Some(Closing::AfterOutput { .. })));
            }
        }
    }

    fn check_body(&self, answer: &Answer<'_>, body: &[u8], surplus: u64) {
        let bodiless = self.is_head() || matches!(answer.status, 204 | 205 | 304);
        let is_10 = REQUESTS[self.request].contains("HTTP/1.0");
        let framing = match self.length {
            _ if answer.status == 205 && !self.is_head() => Framing::Length(0),
            _ if bodiless => Framing::Bodiless,
            Some(length) => Framing::Length(length),
            None if is_10 => Framing::UntilClose,
            None => Framing::Chunked,
        };
        assert_eq!(answer.framing, framing);
        let taken = match framing {
            Framing::Bodiless => 0,
            Framing::Length(length) => length.min(body.len() as u64) as usize,
            _ => body.len(),
        };
        assert_eq!(answer.body, body[..taken]);
        if !bodiless {
            assert_eq!(surplus, (body.len() - taken) as u64);
        }
        let is_whole = match framing {
            Framing::Length(length) => taken as u64 == length,
            Framing::Chunked => !self.fails,
            _ => true,
        };
        assert_eq!(answer.whole, is_whole);
    }
}

/// The path of the request that is there, its end included.
fn polled(connection: &mut Connection) -> Vec<u8> {
    let mut path = Vec::new();
    while let Some(event) = connection.poll_event(drive::wall) {
        match event {
            Event::Head(head) => path = head.path().to_vec(),
            Event::End => {}
            other => panic!("{other:?}"),
        }
    }
    path
}

fn check_head(answer: &Answer<'_>, status: &[u8], fields: &Fields, flags: u8) {
    assert_eq!([answer.status.to_string().as_bytes(), b" ", answer.reason].concat(), status);
    let (said, added) = answer.fields.split_at_checked(fields.len()).expect("all fields are there");
    let fields_said = fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    assert!(said.iter().copied().eq(fields_said), "the application's fields, in its order: {said:?}, not {fields:?}");
    let is_kept = |name: &str| fields.iter().any(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()));
    let mut names: Vec<&[u8]> = added.iter().map(|(name, _)| *name).collect();
    names.retain(|name| ![&b"Content-Length"[..], b"Transfer-Encoding", b"Connection"].contains(name));
    let mut expected: Vec<&[u8]> = Vec::new();
    if !is_kept("date") {
        expected.push(b"Date");
    }
    if !is_kept("server") {
        expected.push(b"Server");
    }
    assert_eq!(names, expected, "flags {flags}: Date and Server, once each");
}
