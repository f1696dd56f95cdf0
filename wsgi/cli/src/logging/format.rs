//! What a line of the access log looks like. gunicorn's notation: `%(h)s`, `%({Host}i)s`.

use std::io::Write;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use handwound_reactor::Address;
use handwound_wsgi::AccessEntry;
use handwound_wsgi::http1::RequestHead;

/// The combined log format, as Apache calls it; also gunicorn's default.
const COMBINED: &str = r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#;

/// What a line of the access log looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessFormat(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
    /// The request's header of this name.
    Header(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    RemoteAddress,
    Nothing,
    Time,
    RequestLine,
    Method,
    Path,
    Query,
    Protocol,
    Status,
    BytesOrDash,
    Bytes,
    Referer,
    UserAgent,
    Seconds,
    Microseconds,
    Milliseconds,
    DecimalSeconds,
    Process,
}

/// Their letters, in the order in which they are listed where one is wrong.
const FIELDS: [(&str, Field); 20] = [
    ("h", Field::RemoteAddress),
    ("l", Field::Nothing),
    ("u", Field::Nothing),
    ("t", Field::Time),
    ("r", Field::RequestLine),
    ("m", Field::Method),
    ("U", Field::Path),
    ("q", Field::Query),
    ("H", Field::Protocol),
    ("s", Field::Status),
    ("st", Field::Status),
    ("b", Field::BytesOrDash),
    ("B", Field::Bytes),
    ("f", Field::Referer),
    ("a", Field::UserAgent),
    ("T", Field::Seconds),
    ("D", Field::Microseconds),
    ("M", Field::Milliseconds),
    ("L", Field::DecimalSeconds),
    ("p", Field::Process),
];

impl AccessFormat {
    /// The combined log format: address, time, request line, status, bytes, referer, user agent. Times are in UTC.
    pub fn combined() -> AccessFormat {
        COMBINED.parse().expect("it is in the notation: the test `the_combined_format` reads it")
    }

    /// Appends the line of `entry`, with its line end. What clients may have sent never breaks out of its place.
    pub fn write(&self, entry: &AccessEntry<'_>, clock: &mut Clock, line: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => line.extend_from_slice(text.as_bytes()),
                Piece::Field(field) => write_field(*field, entry, clock, line),
                Piece::Header(name) => header(entry.request, name, line),
            }
        }
        line.push(b'\n');
    }
}

/// Reads the notation: text, `%(letter)s`, `%({Name}i)s` for a header of the request, `%%`.
impl FromStr for AccessFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<AccessFormat, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('%') {
            literal.push_str(before);
            if let Some(behind) = behind.strip_prefix('%') {
                literal.push('%');
                rest = behind;
                continue;
            }
            let field = behind.strip_prefix('(').and_then(|behind| behind.split_once(")s"));
            let (name, behind) = field.ok_or_else(|| format!("a '%' begins a field as %(h)s; {}", known()))?;
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
            pieces.push(piece(name)?);
            rest = behind;
        }
        literal.push_str(rest);
        if literal.contains(|c: char| c.is_control()) {
            return Err("an entry is one line; leave out line ends and tabs".to_owned());
        }
        pieces.push(Piece::Text(literal));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        match pieces.is_empty() {
            true => Err(format!("an empty line says nothing; {}", known())),
            false => Ok(AccessFormat(pieces)),
        }
    }
}

fn piece(name: &str) -> Result<Piece, String> {
    if let Some((header, kind)) = name.strip_prefix('{').and_then(|name| name.split_once('}')) {
        return match kind {
            "i" => Ok(Piece::Header(header.to_owned())),
            "o" => Err(format!("headers of responses are not logged; %({{{header}}}i)s is one of the request")),
            "e" => Err(format!("the environ is not logged; %({{{header}}}i)s is a header of the request")),
            _ => Err(format!("'%({name})s' is no field; {}", known())),
        };
    }
    let found = FIELDS.iter().find(|(letter, _)| *letter == name);
    found.map(|(_, field)| Piece::Field(*field)).ok_or_else(|| format!("'%({name})s' is no field; {}", known()))
}

fn known() -> String {
    let letters: Vec<_> = FIELDS.iter().map(|(letter, _)| *letter).collect();
    format!("fields are {} and {{Name}}i", letters.join(" "))
}

fn write_field(field: Field, entry: &AccessEntry<'_>, clock: &mut Clock, line: &mut Vec<u8>) {
    let head = entry.request;
    let text = |line: &mut Vec<u8>, value: Option<&[u8]>| match value {
        Some(value) => escape(value, line),
        None => line.push(b'-'),
    };
    let number = |line: &mut Vec<u8>, value: u128| write!(line, "{value}").expect("memory takes all");
    match field {
        Field::RemoteAddress => address(entry.peer, line),
        Field::Nothing => line.push(b'-'),
        Field::Time => line.extend_from_slice(clock.at(entry.received)),
        Field::RequestLine => request_line(head, line),
        Field::Method => text(line, head.map(RequestHead::method)),
        Field::Path => text(line, head.map(RequestHead::path)),
        Field::Query => text(line, head.map(|head| head.query().unwrap_or_default())),
        Field::Protocol => text(line, head.map(|head| head.version().as_str().as_bytes())),
        Field::Status => number(line, entry.status.into()),
        Field::BytesOrDash if entry.body_bytes == 0 => line.push(b'-'),
        Field::BytesOrDash | Field::Bytes => number(line, entry.body_bytes.into()),
        Field::Referer => header(head, "referer", line),
        Field::UserAgent => header(head, "user-agent", line),
        Field::Seconds => number(line, entry.duration.as_secs().into()),
        Field::Microseconds => number(line, entry.duration.as_micros()),
        Field::Milliseconds => number(line, entry.duration.as_millis()),
        Field::DecimalSeconds => {
            write!(line, "{:.6}", entry.duration.as_secs_f64()).expect("memory takes all");
        }
        Field::Process => write!(line, "<{}>", std::process::id()).expect("memory takes all"),
    }
}

fn address(peer: &Address, line: &mut Vec<u8>) {
    match peer.tcp() {
        Some(peer) => write!(line, "{}", peer.ip().to_canonical()).expect("memory takes all"),
        None => line.push(b'-'),
    }
}

fn request_line(head: Option<&RequestHead>, line: &mut Vec<u8>) {
    let Some(head) = head else { return line.push(b'-') };
    escape(head.method(), line);
    line.push(b' ');
    escape(head.target(), line);
    line.push(b' ');
    line.extend_from_slice(head.version().as_str().as_bytes());
}

fn header(head: Option<&RequestHead>, name: &str, line: &mut Vec<u8>) {
    match head.and_then(|head| head.get(name)) {
        Some(value) => escape(value, line),
        None => line.push(b'-'),
    }
}

/// As Apache does: what is not printable ASCII as `\xhh`, quotes and backslashes behind a backslash.
fn escape(bytes: &[u8], line: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => line.push(byte),
            _ => write!(line, "\\x{byte:02x}").expect("memory takes all"),
        }
    }
}

/// Writes times, and remembers the last one: most entries are of the same second.
#[derive(Debug, Default)]
pub struct Clock {
    second: Option<u64>,
    text: Vec<u8>,
}

impl Clock {
    /// `[10/Oct/2000:13:55:36 +0000]`.
    fn at(&mut self, wall: SystemTime) -> &[u8] {
        let second = wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.second.replace(second) != Some(second) {
            // `Sun, 06 Nov 1994 08:49:37 GMT`; dates that it cannot write are not those of a running clock.
            let date = httpdate::HttpDate::from(UNIX_EPOCH + std::time::Duration::from_secs(second.min(LAST_SECOND)));
            let date = date.to_string();
            self.text.clear();
            let (day, month, year, time) = (&date[5..7], &date[8..11], &date[12..16], &date[17..25]);
            write!(self.text, "[{day}/{month}/{year}:{time} +0000]").expect("memory takes all");
        }
        &self.text
    }
}

/// The last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use handwound_wsgi::AccessLog;
    use handwound_wsgi::testing::prelude::*;

    /// Lines of this form, at a fixed time.
    #[derive(Debug)]
    struct Lines(AccessFormat, Mutex<Vec<u8>>);

    impl AccessLog for Lines {
        fn log(&self, entry: &AccessEntry<'_>) {
            let mut entry = *entry;
            entry.received = UNIX_EPOCH + Duration::from_millis(971_186_136_500);
            entry.duration = Duration::from_micros(1_234_567);
            self.0.write(&entry, &mut Clock::default(), &mut self.1.lock().unwrap());
        }
    }

    /// What the log says of a request with these lines, in this form.
    fn line(format: &str, request: &str) -> String {
        let lines = Arc::new(Lines(format.parse().unwrap(), Mutex::default()));
        let sim = Sim::new(handwound_testkit::Choices::calm());
        let mut config = handwound_wsgi::SiteConfig::default();
        config.access_log = Some(lines.clone());
        let server = sim.serve(threads(1).with_config(config), |_req| ok("Hello"));
        sim.connect(&server).send(format!("{request}\r\n\r\n"));
        sim.settle();
        String::from_utf8(lines.1.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn spec_38_the_combined_format() {
        let request = "GET /a%20b?c HTTP/1.1\r\nHost: x\r\nReferer: http://y/\r\nUser-Agent: z/1 (\"q\" \\ \u{e9})";
        assert_eq!(
            line(COMBINED, request),
            "127.0.0.1 - - [10/Oct/2000:13:55:36 +0000] \"GET /a%20b?c HTTP/1.1\" 200 5 \"http://y/\" \
             \"z/1 (\\\"q\\\" \\\\ \\xc3\\xa9)\"\n"
        );
        let head = "HEAD / HTTP/1.0";
        assert!(line(COMBINED, head).ends_with("\"HEAD / HTTP/1.0\" 200 - \"-\" \"-\"\n"));
        assert!(line(COMBINED, "nonsense").contains("] \"-\" 400 "));
    }

    #[test]
    fn every_field_of_gunicorns_that_there_is() {
        let check = |format: &str, expected: &str| {
            let request = "GET /p?q=1 HTTP/1.1\r\nHost: x\r\nX-Id: 7";
            assert_eq!(line(format, request), format!("{expected}\n"), "{format}");
        };
        check("%(m)s|%(U)s|%(q)s|%(H)s", "GET|/p|q=1|HTTP/1.1");
        check("%(s)s %(st)s %(b)s %(B)s", "200 200 5 5");
        check("%(T)s %(M)s %(D)s %(L)s", "1 1234 1234567 1.234567");
        check("%({X-Id}i)s %({x-id}i)s %({None}i)s", "7 7 -");
        check("100%% %(l)s%(u)s", "100% --");
        check("%(p)s", &format!("<{}>", std::process::id()));
    }

    #[test]
    fn a_wrong_format_says_what_there_is() {
        let refuse = |format: &str, why: &str| {
            let said = format.parse::<AccessFormat>().unwrap_err();
            assert!(said.starts_with(why) && !said.contains('\n'), "{format}: {said}");
        };
        refuse("%(x)s", "'%(x)s' is no field; fields are h l u t r m U q H s st b B f a T D M L p and {Name}i");
        refuse("%h %s", "a '%' begins a field as %(h)s; fields are");
        refuse("%(h", "a '%' begins a field");
        refuse("%", "a '%' begins a field");
        refuse("%({Server}o)s", "headers of responses are not logged");
        refuse("%({A}e)s", "the environ is not logged");
        refuse("", "an empty line says nothing");
        refuse("a\nb", "an entry is one line");
    }
}
