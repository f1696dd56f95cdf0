//! What a conversation came to: what the application saw, and what the client got, read as strictly as can be.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use handwound_wsgi::{Call, Failure};

use crate::table::Case;

/// What the application saw, by the client's port.
pub type Seen = Arc<Mutex<BTreeMap<u16, Vec<String>>>>;

/// An application that notes what it sees, and says no more than `seen`.
pub fn application(seen: &Seen) -> impl Fn(&Call) -> Result<&'static str, Failure> + Send + Sync + 'static {
    let seen = seen.clone();
    move |call: &Call| {
        let port = call.request().remote_port().expect("clients come over TCP");
        seen.lock().unwrap().entry(port).or_default().push(shown(call)?);
        call.start_response("200 OK", &[])?;
        Ok("seen")
    }
}

/// `GET /a?b HTTP/1.0 @host [X-A: v] "body"`: what is as in most cases is left out, and so are the fields that frame.
fn shown(call: &Call) -> Result<String, Failure> {
    let request = call.request();
    let mut text = format!("{} ", request.method().escape_ascii());
    for part in [request.script_name(), request.path_info()] {
        write!(text, "{}", part.escape_ascii())?;
    }
    if let Some(query) = request.head().query() {
        write!(text, "?{}", query.escape_ascii())?;
    }
    if request.protocol() != "HTTP/1.1" {
        write!(text, " {}", request.protocol())?;
    }
    match request.head().host() {
        Some(host) if host.text == b"h" => {}
        Some(host) => write!(text, " @{}", host.text.escape_ascii())?,
        None => text.push_str(" @"),
    }
    let mut fields = Vec::new();
    for (name, value) in request.headers() {
        let framing = ["host", "content-length", "transfer-encoding", "connection", "expect"];
        if !framing.iter().any(|framing| name.eq_ignore_ascii_case(framing.as_bytes())) {
            fields.push(format!("[{}: {}]", name.escape_ascii(), value.escape_ascii()));
        }
    }
    if !fields.is_empty() {
        write!(text, " {}", counted(&fields, " "))?;
    }
    let mut body = Vec::new();
    call.body().read_to_end(&mut body)?;
    assert_eq!(body.len() as u64, call.body_len());
    match body.len() {
        0 => {}
        1..=60 => write!(text, " \"{}\"", body.escape_ascii())?,
        bytes => write!(text, " <{bytes} bytes>")?,
    }
    Ok(shortened(&text))
}

/// With `a*20` for what stands there twenty times or more.
fn shortened(text: &str) -> String {
    let mut short = String::new();
    for run in text.as_bytes().chunk_by(|one, other| one == other) {
        let first = char::from(run[0]);
        match run.len() {
            0..20 => short.extend(std::iter::repeat_n(first, run.len())),
            times => short += &format!("{first}*{times}"),
        }
    }
    short
}

/// With `answer (3 times)` for what came so often in a row.
fn counted(answers: &[String], between: &str) -> String {
    let runs = answers.chunk_by(|one, other| one == other);
    runs.map(|run| if run.len() < 3 { run.join(between) } else { format!("{} ({} times)", run[0], run.len()) })
        .collect::<Vec<_>>()
        .join(between)
}

/// What came of a case, in the words of its last column: what the application saw or how it was refused, in order,
/// with `; close` behind it if the connection ended before the tail, `wait` if nothing happened yet.
///
/// # Panics
/// If what the client got breaks a rule of its own; the text says which.
pub fn verdict(case: &Case, seen: &[String], received: &[u8], closed: bool) -> String {
    let mut answers = Vec::new();
    let mut rest = received;
    let mut seen = seen.iter();
    let mut last_says_close = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n") {
            assert!(case.send.windows(6).any(|word| word.eq_ignore_ascii_case(b"expect")), "an uncalled-for 100");
            rest = after;
            continue;
        }
        assert!(!last_says_close, "an answer behind one that said close");
        let request = seen.as_slice().first();
        let answer = read_one(&mut rest, request.is_some_and(|line| line.starts_with("HEAD ")));
        last_says_close = answer.closes;
        if answer.status == 200 {
            assert_eq!(answer.body, if answer.is_bodiless { "" } else { "seen" });
            answers.push(seen.next().expect("the application was called for each 200").clone());
        } else {
            assert!(answer.closes, "a refusal that does not say close");
            let reason = answer.body.strip_suffix('\n').unwrap_or("(to a HEAD)");
            answers.push(format!("{} {reason}", answer.status));
        }
    }
    assert_eq!(seen.next(), None, "the application was called, and its answer did not come");
    // Who has ended its side may have been answered before that was known.
    assert!(closed == last_says_close || (closed && case.ends), "closed: {closed}, said so: {last_says_close}");
    if answers.last().is_some_and(|answer| answer == "GET /tail") {
        answers.pop();
    } else if !closed {
        answers.push("wait".to_owned());
    } else if !answers.last().is_some_and(|answer| answer.starts_with(|first: char| first.is_ascii_digit())) {
        answers.push("close".to_owned());
    }
    counted(&answers, " ; ")
}

struct Answer {
    status: u16,
    body: String,
    is_bodiless: bool,
    closes: bool,
}

/// One response, which must be whole and follow the grammar to the letter.
fn read_one(rest: &mut &[u8], is_head: bool) -> Answer {
    let text = rest.escape_ascii().to_string();
    let end = memchr::memmem::find(rest, b"\r\n\r\n").unwrap_or_else(|| panic!("an unfinished head: {text}"));
    let head = std::str::from_utf8(&rest[..end]).expect("heads are ASCII here");
    assert!(!head.replace("\r\n", "").contains(char::is_control), "a control character in {text}");
    let mut lines = head.split("\r\n");
    let line = lines.next().expect("split gives one at least");
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|line| line.split_once(' ')).map(|(status, _)| status);
    let status: u16 =
        status.filter(|status| status.len() == 3).and_then(|status| status.parse().ok()).expect("a status");
    let mut fields: BTreeMap<String, &str> = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}"));
        assert!(fields.insert(name.to_ascii_lowercase(), value).is_none(), "{name} comes twice");
    }
    assert!(fields.contains_key("date"), "RFC 9110 section 6.6.1: a Date");
    let length = fields.get("content-length").map(|length| length.parse::<usize>().expect("digits"));
    let length = length.expect("all answers here have a length");
    let body_from = end + 4;
    // A refused HEAD request gets none either; nothing else in these tables ends so.
    let is_bodiless = is_head || (status != 200 && rest.len() == body_from);
    let body_to = body_from + if is_bodiless { 0 } else { length };
    let body = rest.get(body_from..body_to).unwrap_or_else(|| panic!("an unfinished body: {text}"));
    let body = String::from_utf8(body.to_vec()).expect("bodies are ASCII here");
    *rest = &rest[body_to..];
    Answer { status, body, is_bodiless, closes: fields.get("connection") == Some(&"close") }
}
