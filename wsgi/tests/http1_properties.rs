//! What holds for any bytes and any cuts. An independent reader, written from the grammar alone, judges what is sent.

#![allow(clippy::unwrap_used)]

mod http1_driver;

use handwound_reactor::Time;
use handwound_wsgi::http1::{Config, Connection, Event, Finish, ResponseHead};
use http1_driver::{Saw, every_byte, observe, wall};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Small bounds, so that generated input reaches them.
fn tight() -> Config {
    Config {
        request_line_bytes_max: 40,
        head_bytes_max: 160,
        header_count_max: 5,
        body_bytes_max: 24,
        chunk_extension_bytes_max: 8,
        trailer_bytes_max: 24,
        ..Config::default()
    }
}

/// Pieces of requests, good and bad, that are strung together.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let whole = select(vec![
        "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
        "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "POST /d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
        "POST /stream HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        "2\r\nhi\r\n",
        "1;a=\"b\"\r\nx\r\n",
        "0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
    ]);
    let part = select(vec![
        "GET ",
        "POST ",
        "/",
        "/a?b",
        "*",
        "http://h/",
        " HTTP/1.1",
        " HTTP/1.0",
        "\r\n",
        "\r",
        "\n",
        "Host: h",
        "Host: [::1]:8",
        "X: y",
        "Content-Length: 2",
        "Transfer-Encoding: chunked",
        "Connection: close",
        "\r\n\r\n",
        " ",
        "\t",
        ":",
        "\0",
        "%00",
        "%4",
        "5",
        "ff",
        ";",
        "\u{e9}",
    ]);
    prop_oneof![
        4 => whole.prop_map(|text| text.as_bytes().to_vec()),
        2 => part.prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..8),
    ]
}

fn conversation() -> impl Strategy<Value = Vec<u8>> {
    vec(fragment(), 0..8).prop_map(|fragments| fragments.concat())
}

/// Heads whose request line is good, and fields that are not quite: what is read at once where it comes whole, and line by
/// line where it does not. Something may stand before or behind.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let field = select(vec![
        "Host: h",
        "Host:h",
        "X: y",
        "X:",
        "X_Y: z ",
        "Content-Length: 2",
        "Connection: close",
        "Transfer-Encoding: chunked",
        " folded",
        "\tfolded",
        "X : y",
        ": y",
        "X",
        "X: \0",
        "X: y\r",
        "\rX: y",
        "X: \u{e9}\t",
        "",
        "X: some more, so that there are heads at the bound and beyond",
    ]);
    let line_end = prop_oneof![20 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
    let line = (prop_oneof![Just("X: y"), field], line_end).prop_map(|(field, end)| field.to_owned() + end);
    let before = prop_oneof![8 => Just(""), 1 => Just("\r\n"), 1 => Just("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")];
    let behind =
        select(vec!["", "", "hi", "\r\n", "\r\n\r\n", "GET /b HTTP/1.1\r\n\r\n", "GET /b HTTP/1.0\r\nX: y\r\n\r\n"]);
    let end = prop_oneof![8 => Just("\r\n"), 1 => Just("\n"), 1 => Just("")];
    (before, select(vec!["1.0", "1.1"]), vec(line, 0..8), end, behind).prop_map(
        |(before, version, lines, end, behind)| {
            format!("{before}GET / HTTP/{version}\r\n{}{end}{behind}", lines.concat()).into_bytes()
        },
    )
}

fn cuts_of(input: &[u8], cuts: &[Index]) -> Vec<usize> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// One response of a stream.
#[derive(Debug, PartialEq)]
struct Response {
    status: u16,
    body: Vec<u8>,
}

/// Reads all of `stream`, strictly: `methods` says which requests are answered, in order. The last response may end with
/// the stream.
fn read_responses(mut stream: &[u8], is_head: &[bool]) -> Result<Vec<Response>, String> {
    let mut responses = Vec::new();
    while !stream.is_empty() {
        let head_end = find(stream, b"\r\n\r\n").ok_or("no end of head")?;
        let head = std::str::from_utf8(&stream[..head_end]).map_err(|error| error.to_string())?;
        stream = &stream[head_end + 4..];
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").ok_or("no version")?;
        let status: u16 = status.get(..3).ok_or("no status")?.parse().map_err(|_| "no number")?;
        let (mut length, mut chunked, mut dates, mut close) = (None, false, 0, false);
        for line in lines {
            let (name, value) = line.split_once(": ").ok_or("no field")?;
            match name {
                "Content-Length" if length.replace(value.parse::<usize>().map_err(|_| "bad length")?).is_some() => {
                    return Err("two lengths".to_owned());
                }
                "Transfer-Encoding" => chunked = value == "chunked",
                "Date" => dates += 1,
                "Connection" => close = value == "close",
                _ if line.contains(['\r', '\n', '\0']) => return Err("control".to_owned()),
                _ => {}
            }
        }
        if dates != 1 || (chunked && length.is_some()) {
            return Err(format!("{dates} dates, chunked {chunked}, length {length:?}"));
        }
        let bodiless = is_head.get(responses.len()).copied().unwrap_or(false) || matches!(status, 204 | 304);
        let body = match length {
            _ if bodiless => Vec::new(),
            _ if chunked => read_chunks(&mut stream)?,
            Some(length) => take(&mut stream, length)?.to_vec(),
            None if close => std::mem::take(&mut stream).to_vec(),
            None => return Err("no framing".to_owned()),
        };
        responses.push(Response { status, body });
        if close && !stream.is_empty() {
            return Err("something follows the last response".to_owned());
        }
    }
    Ok(responses)
}

fn read_chunks(stream: &mut &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let end = find(stream, b"\r\n").ok_or("no size line")?;
        let size = std::str::from_utf8(take(stream, end)?).map_err(|error| error.to_string())?;
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("bad size {size:?}"));
        }
        let size = usize::from_str_radix(size, 16).map_err(|error| error.to_string())?;
        take(stream, 2)?;
        body.extend_from_slice(take(stream, size)?);
        if take(stream, 2)? != b"\r\n" {
            return Err("chunk without an end".to_owned());
        }
        if size == 0 {
            return Ok(body);
        }
    }
}

fn take<'a>(stream: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = stream.split_at_checked(length).ok_or("cut short")?;
    *stream = rest;
    Ok(taken)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_give_the_same_events_and_output(input in conversation(), cuts in vec(any::<Index>(), 0..6)) {
        let whole = observe(&input, &[], &tight());
        prop_assert_eq!(&whole, &observe(&input, &cuts_of(&input, &cuts), &tight()));
        prop_assert_eq!(&whole, &observe(&input, &every_byte(&input), &tight()));
    }

    #[test]
    fn a_head_that_comes_whole_is_judged_as_one_that_does_not(input in head(), less in 0..8_usize) {
        // The bound is where most heads end, or nearly.
        let config = Config { head_bytes_max: input.len() + 2 - less, ..tight() };
        prop_assert_eq!(observe(&input, &[], &config), observe(&input, &every_byte(&input), &config));
    }

    #[test]
    fn rejected_stays_rejected(input in conversation(), more in conversation()) {
        let (seen, output, closed) = observe(&input, &[], &tight());
        let rejections = seen.iter().filter(|saw| matches!(saw, Saw::Rejected(_))).count();
        prop_assert!(rejections <= 1);
        if matches!(seen.last(), Some(Saw::Rejected(_))) {
            prop_assert!(closed);
            let longer = [input, more].concat();
            prop_assert_eq!((seen, output, closed), observe(&longer, &[], &tight()));
        } else {
            prop_assert_eq!(rejections, 0);
        }
    }

    #[test]
    fn what_is_sent_reads_strictly_one_response_a_request(input in conversation()) {
        let (seen, output, _) = observe(&input, &[], &tight());
        let is_head: Vec<_> = seen
            .iter()
            .map(|saw| match saw {
                Saw::Request { head, .. } => head.starts_with("HEAD "),
                // A refused HEAD is answered without a body, whose length would be cut off the stream's end.
                Saw::Rejected(_) => find(&output, b"Connection: close\r\n\r\n").is_some_and(|at| at + 21 == output.len()),
            })
            .collect();
        let responses = read_responses(&output, &is_head).map_err(TestCaseError::fail)?;
        prop_assert_eq!(responses.len(), seen.len());
        for (response, (saw, is_head)) in responses.iter().zip(seen.iter().zip(is_head)) {
            match saw {
                Saw::Request { body, .. } if !is_head => {
                    prop_assert_eq!(response.status, 200);
                    prop_assert!(response.body.ends_with(body));
                }
                Saw::Request { .. } => prop_assert_eq!(response.status, 200),
                Saw::Rejected(rejection) => prop_assert_eq!(response.status, rejection.status),
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(input in vec(any::<u8>(), 0..300), cuts in vec(any::<Index>(), 0..4)) {
        let config = Config::default();
        prop_assert_eq!(observe(&input, &[], &config), observe(&input, &cuts_of(&input, &cuts), &config));
    }

    #[test]
    fn any_order_of_calls_is_survived(calls in vec((0_u8..10, fragment()), 0..24)) {
        let mut connection = Connection::new(std::sync::Arc::new(tight()), Time::ZERO);
        let mut head = ResponseHead::new("200 OK").unwrap();
        let mut now = Time::ZERO;
        for (call, bytes) in calls {
            match call {
                0..=2 => connection.receive(&bytes, now),
                3 => connection.receive_end(now),
                4 => connection.respond(&head, wall()),
                5 => drop(connection.send_body(&bytes)),
                6 => match connection.finish(now) {
                    Finish::Complete => head.reset("200 OK").unwrap(),
                    Finish::Short { missing_bytes } => prop_assert!(missing_bytes > 0),
                },
                7 => connection.fail(),
                8 => {
                    now = connection.deadline().unwrap_or(now).max(now);
                    connection.handle_deadline(now);
                }
                _ => head.set_content_length_if_absent(bytes.len() as u64),
            }
            while let Some(event) = connection.poll_event(wall) {
                if let Event::Head(head) = event {
                    connection.recycle(head);
                }
            }
            prop_assert!(connection.closing().is_none() || connection.deadline().is_none());
        }
    }

    #[test]
    fn what_is_pushed_is_what_is_sent(
        name in "[!-~]{1,12}",
        value in vec(any::<u8>(), 0..20),
        status in "[0-9]{3} [ -~]{0,12}",
    ) {
        let Ok(mut head) = ResponseHead::new(&status) else { return Ok(()) };
        let accepted = head.push(&name, &value).is_ok();
        let mut connection = Connection::new(std::sync::Arc::new(Config::default()), Time::ZERO);
        connection.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", Time::ZERO);
        while connection.poll_event(wall).is_some() {}
        connection.respond(&head, wall());
        let output = std::mem::take(connection.output());
        let line_start = [b"HTTP/1.1 ", status.as_bytes(), b"\r\n"].concat();
        prop_assert!(output.starts_with(&line_start));
        let line = [name.as_bytes(), b": ", &value, b"\r\n"].concat();
        let is_servers_own = ["date", "server", "content-length"].contains(&name.to_ascii_lowercase().as_str());
        if accepted && !is_servers_own {
            prop_assert!(output[line_start.len()..].starts_with(&line));
        }
        let lines = output.strip_suffix(b"\r\n\r\n").unwrap();
        let count = find_all(lines, b"\r\n");
        prop_assert_eq!(find_all(lines, b"\n"), count);
        prop_assert_eq!(find_all(lines, b"\r"), count);
        prop_assert!(count <= 4, "status, the field, Date, Server, framing: {:?}", output.escape_ascii().to_string());
    }
}

fn find_all(text: &[u8], what: &[u8]) -> usize {
    text.windows(what.len()).filter(|window| *window == what).count()
}
