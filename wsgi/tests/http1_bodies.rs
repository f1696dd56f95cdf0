//! Request bodies: the chunked coding row by row, limits, pipelining. Each row also cut at every byte.

#![allow(clippy::unwrap_used)]

mod http1_driver;

use std::sync::Arc;

use handwound_reactor::Time;
use handwound_wsgi::http1::{Config, Connection, Event, ExtraHeaders, Finish, ResponseHead};
use http1_driver::{Saw, every_byte, observe, verdict, wall};

const LIMITS: Config = Config {
    request_line_bytes_max: 8192,
    head_bytes_max: 8192,
    header_count_max: 4,
    body_bytes_max: 20,
    chunk_extension_bytes_max: 24,
    trailer_bytes_max: 32,
    pipelined_bytes_max: 1024,
    idle_timeout: std::time::Duration::from_secs(30),
    head_timeout: std::time::Duration::from_secs(15),
    body_timeout: std::time::Duration::from_secs(20),
    body_bytes_per_second_min: 500,
    server: None,
    requests_per_connection_max: None,
    keep_underscore_headers: false,
    refuse_brackets_in_targets: false,
    extra_headers: ExtraHeaders::new(),
};

/// `body` in chunked framing decodes to `expected`, and the request behind it is found.
#[track_caller]
fn check(body: &str, expected: &str) {
    let input = format!("{HEAD}{body}GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    let found = verdict(input.as_bytes(), &LIMITS);
    assert_eq!(found.split_once(" | ").map(|(_, body)| body), Some(expected), "{body:?} gives {found}");
    let (seen, _, closing) = observe(input.as_bytes(), &[], &LIMITS);
    assert_eq!((seen.len(), closing), (2, false), "the next request is where this one ended");
}

/// `body` is refused with a line that starts with `expected`, whatever follows.
#[track_caller]
fn check_bad(body: &str, expected: &str) {
    let input = format!("{HEAD}{body}GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    let found = verdict(input.as_bytes(), &LIMITS);
    assert!(found.starts_with(expected), "{body:?} gives {found}");
}

const HEAD: &str = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn chunks_decode() {
    check("5\r\nhello\r\n0\r\n\r\n", "hello");
    check("A\r\n0123456789\r\n0\r\n\r\n", "0123456789");
    check("a\r\n0123456789\r\n00\r\n\r\n", "0123456789");
    check("1\r\na\r\n1\r\nb\r\n0000000000000002\r\ncd\r\n0\r\n\r\n", "abcd");
    check("0\r\n\r\n", "");
    check("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\\r\\n\\r\\n");
}

#[test]
fn chunk_sizes_are_hexadecimal_digits_only() {
    for bad in [
        "",
        "-5",
        "+5",
        "0x5",
        "G",
        "5z",
        "5 5",
        "5 ",
        " 5",
        "5\t",
        "5.0",
        "5,",
        ";a=b",
        "5#",
        "\"5\"",
        "-0",
        "\0",
        "5\0",
        "hello",
        "00000000000000005",
        "100000000000000000000000000000005",
        "5\r",
        "\r",
    ] {
        check_bad(&format!("{bad}\r\nhello\r\n0\r\n\r\n"), "400");
    }
    for large in ["15", "8000000000000005", "ffffffffffffffff"] {
        check_bad(&format!("{large}\r\nhello\r\n0\r\n\r\n"), "413");
    }
    for empty in ["\r\n\r\n", ";a\r\n\r\n"] {
        check_bad(empty, "400 Bad Request: a chunk size is not a hexadecimal number");
    }
    check_bad("5\nhello\r\n0\r\n\r\n", "400");
    check_bad("5\rXhello\r\n0\r\n\r\n", "400");
}

#[test]
fn chunk_data_ends_where_it_says() {
    for bad in [
        "3\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\rX0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
        "6\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\nINVALID\r\n\r\n",
    ] {
        check_bad(bad, "400");
    }
}

#[test]
fn chunk_extensions_follow_their_grammar() {
    for good in ["a", "a=b", "a=b;c", "a;b;c=\"d\"", "a=\"x;y=\\\"z\\\" \t\"", "a=\"\""] {
        check(&format!("5;{good}\r\nhello\r\n0;z\r\n\r\n"), "hello");
    }
    for bad in [
        "",
        ";a",
        " a",
        "a b",
        "a@b",
        "a=",
        "a=b c",
        "a=\"b",
        "a=\"b\"c",
        "a=\"\r\n\"",
        "=b",
        "a\x01",
        "a\x7f",
        "a\0=b",
        "a\nb",
        "a=\"\x01\"",
        "a\r",
    ] {
        check_bad(&format!("5;{bad}\r\nhello\r\n0\r\n\r\n"), "400");
    }
    check_bad("5 ;a\r\nhello\r\n0\r\n\r\n", "400");
    check_bad("5\t;a\r\nhello\r\n0\r\n\r\n", "400");
}

#[test]
fn chunk_extensions_are_bounded_over_the_whole_body() {
    check(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(23)), "hello");
    check_bad(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(24)), "400 Bad Request: too many bytes of chunk ext");
    check_bad(&format!("1;{0}\r\na\r\n1;{0}\r\nb\r\n0\r\n\r\n", "x".repeat(12)), "400");
}

#[test]
fn trailers_are_fields_and_are_dropped() {
    check("5\r\nhello\r\n0\r\nX-T: v\r\nX-U:\r\n\r\n", "hello");
    check("0\r\nContent-Length: 45\r\n\r\n", "");
    check("0\r\nHost: evil\r\n\r\n", "");
    for bad in [
        ": v\r\n",
        "X-T\r\n",
        "X T: v\r\n",
        "X-T : v\r\n",
        "X-T: a\0b\r\n",
        "X-T: v\n",
        "X-T: v\r\n\n",
        "X-T: v\r\n w\r\n",
        "X-T: a\rb\r\n",
        "hello\r\n",
        "XX",
    ] {
        check_bad(&format!("0\r\n{bad}\r\n"), "400");
    }
    check_bad("0\r\n\r", "400");
    check_bad("0\r\n\n\n", "400");
}

#[test]
fn trailers_are_bounded() {
    check("0\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n", "");
    check_bad("0\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\n\r\n", "431 Request Header Fields Too Large: too many trailer");
    check(&format!("0\r\nA: {}\r\n\r\n", "v".repeat(25)), "");
    check_bad(&format!("0\r\nA: {}\r\n\r\n", "v".repeat(26)), "431 Request Header Fields Too Large: the trailer");
}

#[test]
fn bodies_are_bounded() {
    check("14\r\n01234567890123456789\r\n0\r\n\r\n", "01234567890123456789");
    check_bad("a\r\n0123456789\r\nb\r\n01234567890\r\n0\r\n\r\n", "413");
    let counted =
        |length: usize| format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{}", "b".repeat(length));
    assert!(verdict(counted(20).as_bytes(), &LIMITS).ends_with(&"b".repeat(20)));
    assert!(verdict(counted(21).as_bytes(), &LIMITS).starts_with("413"));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let input = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nb\r\n\
                 POST /stream3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nHEAD /4 HTTP/1.1\r\nHost: h\r\n\r\n\
                 GET /5 HTTP/1.0\r\n\r\nGET /6 HTTP/1.1\r\nHost: h\r\n\r\n";
    let whole = observe(input.as_bytes(), &[], &Config::default());
    let bodies: Vec<_> =
        whole.0.iter().map(|saw| matches!(saw, Saw::Request { body, .. } if !body.is_empty())).collect();
    assert_eq!(bodies, [false, true, true, false, false], "the sixth comes after the end of the connection");
    for cut in 0..input.len() {
        assert_eq!(observe(input.as_bytes(), &[cut], &Config::default()), whole, "cut at {cut}");
    }
    assert_eq!(observe(input.as_bytes(), &every_byte(input.as_bytes()), &Config::default()), whole);
}

#[test]
fn nothing_after_a_refusal_is_read() {
    let input = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nBROKEN\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    let (seen, output, closing) = observe(input.as_bytes(), &[], &Config::default());
    assert_eq!(seen.len(), 2);
    assert!(matches!(seen[1], Saw::Rejected(rejection) if rejection.status == 400));
    assert!(!String::from_utf8(output).unwrap().contains("smuggled"));
    assert!(closing);
}

/// What is lent is not copied, and is that part of the body and nothing else.
#[test]
fn a_body_of_known_length_can_be_lent() {
    let mut connection = Connection::new(Arc::new(Config::default()), Time::ZERO);
    let filler = "x".repeat(5000);
    let bytes = format!("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n{filler}GET /b HTTP/1.1\r\n");
    let first = connection.first_part(bytes.as_bytes());
    assert_eq!(&bytes[first - 4..first], "\r\n\r\n");
    // Of no use before the head has been polled.
    let mut rest = bytes.as_bytes();
    assert_eq!((connection.lend_body(&mut rest, Time::ZERO), rest.len()), (&b""[..], bytes.len()));
    connection.receive(&bytes.as_bytes()[..first], Time::ZERO);
    assert!(matches!(connection.poll_event(wall), Some(Event::Head(_))));
    rest = &bytes.as_bytes()[first..first + 1000];
    assert_eq!(connection.lend_body(&mut rest, Time::ZERO).as_ptr(), bytes[first..].as_ptr());
    assert!(rest.is_empty() && connection.poll_event(wall).is_none(), "more of it is to come");
    rest = &bytes.as_bytes()[first + 1000..];
    assert_eq!(connection.lend_body(&mut rest, Time::ZERO).len(), 4000);
    assert_eq!(rest, b"GET /b HTTP/1.1\r\n");
    assert!(connection.lend_body(&mut rest, Time::ZERO).is_empty());
    connection.receive(rest, Time::ZERO);
    assert!(matches!(connection.poll_event(wall), Some(Event::End)));
    // Behind bytes that are there already nothing is lent.
    connection.respond(&ResponseHead::new("204 No Content").unwrap(), wall());
    assert_eq!(connection.finish(Time::ZERO), Finish::Complete);
    connection.receive(b"Host: h\r\nContent-Length: 3\r\n\r\na", Time::ZERO);
    assert!(matches!(connection.poll_event(wall), Some(Event::Head(_))));
    rest = b"bc";
    assert_eq!((connection.lend_body(&mut rest, Time::ZERO), rest), (&b""[..], &b"bc"[..]));
}

/// Short reads, chunks and heads that are not whole are received as they come.
#[test]
fn only_long_reads_are_taken_in_parts() {
    let connection = Connection::new(Arc::new(Config::default()), Time::ZERO);
    for bytes in [&b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET"[..], &[b'a'; 5000]] {
        assert_eq!(connection.first_part(bytes), bytes.len());
    }
}
