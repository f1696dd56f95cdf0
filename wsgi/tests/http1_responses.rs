//! Response heads that are taken and refused, and how responses are framed.

#![allow(clippy::unwrap_used)]

mod http1_driver;

use handwound_wsgi::http1::{Closing, Config, RequestHead, ResponseHead};
use http1_driver::{App, Owner, Reply};

#[track_caller]
fn check_bad_status(status: &[u8], expected: &str) {
    assert_eq!(ResponseHead::new(status).unwrap_err().to_string(), expected);
}

#[track_caller]
fn check_bad_field(name: &[u8], value: &[u8], expected: &str) {
    let mut head = ResponseHead::new("200 OK").unwrap();
    let before = format!("{head:?}");
    assert_eq!(head.push(name, value).unwrap_err().to_string(), expected);
    assert_eq!(format!("{head:?}"), before, "a refused field leaves nothing behind");
}

/// RFC 9110 section 15; PEP 3333, The start_response() Callable.
#[test]
fn a_status_is_three_digits_a_space_and_a_reason() {
    for (good, code) in [("200 OK", 200), ("204 ", 204), ("599 \u{e9}", 599), ("999 LinkedIn\tsays no", 999)] {
        assert_eq!(ResponseHead::new(good).unwrap().status(), code);
    }
    for bad in ["", "200", "20 OK", "2000 OK", "OK", "200OK", "+20 OK", " 200 OK", "200\tOK", "abc def", "\u{665}00 OK"]
    {
        let error = ResponseHead::new(bad).unwrap_err().to_string();
        assert!(error.ends_with("is not three digits, a space and a reason, as in '200 OK'"), "{error}");
    }
    check_bad_status(
        b"200 OK\r\nX: y",
        "status '200 OK\\r\\nX: y' is not three digits, a space and a reason, as in '200 OK'",
    );
    check_bad_status(b"200 \0", "status '200 \\x00' is not three digits, a space and a reason, as in '200 OK'");
    for not_final in ["100 Continue", "101 Switching Protocols", "199 x", "000 x"] {
        let expected = format!("status '{not_final}' is not final; an application may send 200 and above");
        check_bad_status(not_final.as_bytes(), &expected);
    }
}

/// RFC 9112 section 11.1; PEP 3333, Other HTTP Features.
#[test]
fn fields_that_would_split_or_reframe_are_refused() {
    check_bad_field(b"", b"v", "header name '' is not a token; use letters, digits and '-'");
    check_bad_field(b"X A", b"v", "header name 'X A' is not a token; use letters, digits and '-'");
    check_bad_field(b"X:", b"v", "header name 'X:' is not a token; use letters, digits and '-'");
    check_bad_field(b"X\r\nY", b"v", "header name 'X\\r\\nY' is not a token; use letters, digits and '-'");
    check_bad_field(b"X\xe9", b"v", "header name 'X\\xe9' is not a token; use letters, digits and '-'");
    check_bad_field(b"X-A", b"a\r\nX-B: b", "value 'a\\r\\nX-B: b' of header 'X-A' holds a control character");
    for control in (0..32).chain([127]).filter(|byte| *byte != b'\t') {
        assert!(ResponseHead::new("200 OK").unwrap().push("X", [b'a', control]).is_err(), "{control:#04x}");
    }
    for hop in [
        "Connection",
        "keep-alive",
        "Proxy-Authenticate",
        "proxy-authorization",
        "TE",
        "Trailers",
        "Transfer-Encoding",
        "upgrade",
    ] {
        check_bad_field(
            hop.as_bytes(),
            b"x",
            &format!("header '{hop}' is hop-by-hop and the server's alone; leave it out"),
        );
    }
    for bad in ["", "x", "-1", "+1", "1, 1", "1 ", "18446744073709551616"] {
        check_bad_field(b"content-length", bad.as_bytes(), &format!("content-length '{bad}' is not a number of bytes"));
    }
    let mut head = ResponseHead::new("200 OK").unwrap();
    head.push("Content-Length", "5").unwrap();
    let error = head.push("content-length", "5").unwrap_err().to_string();
    assert_eq!(error, "content-length '5' comes second; one is enough");
    let long = ResponseHead::new("x".repeat(300)).unwrap_err().to_string();
    assert!(long.contains("…") && long.len() < 200, "{long}");
}

#[test]
fn a_head_starts_over_clean() {
    let mut head = ResponseHead::new("200 OK").unwrap();
    head.keep_date_and_server(true);
    for (name, value) in [("Date", "today"), ("Server", "mine"), ("X", "y"), ("Content-Length", "3")] {
        head.push(name, value).unwrap();
    }
    assert_eq!((head.header_count(), head.content_length()), (3, Some(3)));
    head.set_content_length_if_absent(9);
    assert_eq!(head.content_length(), Some(3));
    head.reset("404 Not Found").unwrap();
    assert_eq!((head.status(), head.header_count(), head.content_length()), (404, 0, None));
    assert!(head.reset("bad").is_err());
    assert_eq!((head.status(), head.header_count()), (500, 0));
}

/// The answer of `app` to a request with this line and fields.
#[track_caller]
fn check_reply(request: &str, app: App, expected: &str, closing: Option<Closing>) {
    let mut owner = Owner::new(Config { server: None, ..Config::default() }, app);
    owner.receive(format!("{request}\r\nHost: h\r\n\r\n").as_bytes());
    let output = owner.output().replace("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "");
    assert_eq!(output.replace("\r\n", "|"), expected);
    assert_eq!(owner.connection.closing(), closing);
}

const CLOSES: Option<Closing> = Some(Closing::AfterOutput { linger: false });
const LINGERS: Option<Closing> = Some(Closing::AfterOutput { linger: true });

fn reply(status: &str, length: Option<u64>, pieces: &[&str]) -> Reply {
    let mut head = ResponseHead::new(status).unwrap();
    if let Some(length) = length {
        head.push("Content-Length", length.to_string()).unwrap();
    }
    Reply { head, pieces: pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect() }
}

/// RFC 9112 section 6.2.
#[test]
fn known_lengths_are_counted() {
    let exact: App = |_, _| reply("200 OK", Some(5), &["he", "", "llo"]);
    check_reply("GET / HTTP/1.1", exact, "HTTP/1.1 200 OK|Content-Length: 5||hello", None);
    check_reply(
        "GET / HTTP/1.0\r\nConnection: keep-alive",
        exact,
        "HTTP/1.1 200 OK|Content-Length: 5|Connection: keep-alive||hello",
        None,
    );
    check_reply("GET / HTTP/1.0", exact, "HTTP/1.1 200 OK|Content-Length: 5|Connection: close||hello", CLOSES);
    check_reply(
        "GET / HTTP/1.1\r\nConnection: x, CLOSE",
        exact,
        "HTTP/1.1 200 OK|Content-Length: 5|Connection: close||hello",
        CLOSES,
    );
    let close_wins = "GET / HTTP/1.0\r\nConnection: keep-alive, close";
    check_reply(close_wins, exact, "HTTP/1.1 200 OK|Content-Length: 5|Connection: close||hello", CLOSES);
    let empty: App = |_, _| reply("200 OK", Some(0), &[]);
    check_reply("GET / HTTP/1.1", empty, "HTTP/1.1 200 OK|Content-Length: 0||", None);
}

/// PEP 3333, Handling the Content-Length Header; RFC 9112 section 8.
#[test]
fn too_many_bytes_are_cut_and_too_few_close() {
    let long: App = |_, _| reply("200 OK", Some(3), &["he", "llo"]);
    check_reply("GET / HTTP/1.1", long, "HTTP/1.1 200 OK|Content-Length: 3||hel", None);
    let short: App = |_, _| reply("200 OK", Some(9), &["hello"]);
    check_reply("GET / HTTP/1.1", short, "HTTP/1.1 200 OK|Content-Length: 9||hello", LINGERS);
}

/// RFC 9112 section 6.1.
#[test]
fn unknown_lengths_are_chunked_or_end_with_the_connection() {
    let stream: App = |_, _| reply("200 OK", None, &["hello", "", "0123456789abcdef0"]);
    let chunked = "HTTP/1.1 200 OK|Transfer-Encoding: chunked||5|hello|11|0123456789abcdef0|0||";
    check_reply("GET / HTTP/1.1", stream, chunked, None);
    check_reply("GET / HTTP/1.0", stream, "HTTP/1.1 200 OK|Connection: close||hello0123456789abcdef0", CLOSES);
    let kept = "GET / HTTP/1.0\r\nConnection: keep-alive";
    check_reply(kept, stream, "HTTP/1.1 200 OK|Connection: close||hello0123456789abcdef0", CLOSES);
    let empty: App = |_, _| reply("200 OK", None, &[]);
    check_reply("GET / HTTP/1.1", empty, "HTTP/1.1 200 OK|Transfer-Encoding: chunked||0||", None);
}

/// RFC 9110 sections 6.4.1, 8.6 and 15.3.6; RFC 9112 section 6.1.
#[test]
fn some_responses_have_no_body() {
    let stream: App = |_, _| reply("200 OK", None, &["hello"]);
    check_reply("HEAD / HTTP/1.1", stream, "HTTP/1.1 200 OK||", None);
    let counted: App = |_, _| reply("200 OK", Some(5), &["hello"]);
    check_reply("HEAD / HTTP/1.1", counted, "HTTP/1.1 200 OK|Content-Length: 5||", None);
    let no_content: App = |_, _| reply("204 No Content", Some(5), &["hello"]);
    check_reply("GET / HTTP/1.1", no_content, "HTTP/1.1 204 No Content||", None);
    check_reply("HEAD / HTTP/1.1", no_content, "HTTP/1.1 204 No Content||", None);
    let reset: App = |_, _| reply("205 Reset Content", None, &["hello"]);
    check_reply("GET / HTTP/1.1", reset, "HTTP/1.1 205 Reset Content|Content-Length: 0||", None);
    let unmodified: App = |_, _| reply("304 Not Modified", Some(5), &["hello"]);
    check_reply("GET / HTTP/1.1", unmodified, "HTTP/1.1 304 Not Modified||", None);
}

/// RFC 9110 sections 5.3, 6.6.1 and 10.2.4; PEP 3333, The start_response() Callable.
#[test]
fn fields_keep_their_order_and_the_servers_own_come_once() {
    let app: App = |_, _| {
        let mut reply = reply("200 Fine", Some(0), &[]);
        for (name, value) in
            [("Set-Cookie", "a=1"), ("DATE", "then"), ("Set-Cookie", "b=2"), ("server", "mine"), ("X-E", "")]
        {
            reply.head.push(name, value).unwrap();
        }
        reply
    };
    let mut owner = Owner::new(Config::default(), app);
    owner.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let expected = "HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-E: \r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                    Server: handwound/0.1\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(owner.output(), expected);
}

#[test]
fn kept_date_and_server_replace_the_servers_own() {
    let app: App = |_, _| {
        let mut reply = reply("200 OK", Some(0), &[]);
        reply.head.keep_date_and_server(true);
        reply.head.push("Server", "mine").unwrap();
        reply.head.push("Date", "then").unwrap();
        reply
    };
    let mut owner = Owner::new(Config::default(), app);
    owner.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(owner.output(), "HTTP/1.1 200 OK\r\nServer: mine\r\nDate: then\r\nContent-Length: 0\r\n\r\n");
}

/// Starts a response as the request and `length` say, sends `body`, then lets it break off.
#[track_caller]
fn check_failure(request: &str, length: Option<u64>, body: &str, expected: Closing) {
    let mut owner = Owner::new(Config::default(), http1_driver::echo);
    owner.connection.receive(format!("{request}\r\nHost: h\r\n\r\n").as_bytes(), owner.now);
    while owner.connection.poll_event(http1_driver::wall).is_some() {}
    owner.connection.respond(&reply("200 OK", length, &[]).head, http1_driver::wall());
    let _ = owner.connection.send_body(body.as_bytes());
    owner.connection.fail();
    assert_eq!(owner.connection.closing(), Some(expected));
    assert!(!owner.output().ends_with("0\r\n\r\n"), "no last chunk");
}

/// RFC 9112 section 8.
#[test]
fn a_broken_response_never_looks_complete() {
    let incomplete = Closing::AfterOutput { linger: false };
    check_failure("GET / HTTP/1.1", None, "half", incomplete);
    check_failure("GET / HTTP/1.1", Some(9), "half", incomplete);
    check_failure("GET / HTTP/1.1", Some(4), "full", Closing::Abort);
    check_failure("GET / HTTP/1.0", None, "half", Closing::Abort);
    check_failure("HEAD / HTTP/1.1", None, "", Closing::Abort);
}

#[test]
fn a_request_without_a_response_is_cut() {
    let mut owner = Owner::new(Config::default(), http1_driver::echo);
    owner.connection.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", owner.now);
    while owner.connection.poll_event(http1_driver::wall).is_some() {}
    let _ = owner.connection.finish(owner.now);
    assert_eq!(owner.connection.closing(), Some(Closing::Abort));
    assert_eq!(owner.output(), "");
}

#[test]
fn calls_without_a_request_change_nothing() {
    let mut owner = Owner::new(Config::default(), http1_driver::echo);
    owner.connection.respond(&ResponseHead::default(), http1_driver::wall());
    assert_eq!(owner.connection.send_body(b"x"), handwound_wsgi::http1::BodyFit::Omitted);
    owner.connection.fail();
    assert_eq!((owner.output().as_str(), owner.connection.closing()), ("", None));
    let _ = owner.connection.finish(owner.now);
    assert_eq!(owner.connection.closing(), None);
}

#[test]
fn heads_convert_to_the_http_crates_types() {
    let app: App = |request: &RequestHead, _| {
        assert_eq!(request.http_method(), http::Method::POST);
        let map = request.header_map();
        let values: Vec<_> = map.get_all("x-a").iter().map(|value| value.as_bytes()).collect();
        assert_eq!(values, [&b"1"[..], b"\xe9"]);
        assert_eq!(request.get("X-a"), Some(&b"1"[..]));
        assert_eq!(request.get("X-B"), None);
        let host = request.host().unwrap();
        assert_eq!((host.text, host.name, host.port), (&b"[::1]:80"[..], &b"::1"[..], Some(80)));
        assert_eq!((request.path(), request.query()), (&b"/"[..], Some(&b"q"[..])));
        reply("200 OK", Some(0), &[])
    };
    let mut owner = Owner::new(Config::default(), app);
    owner.receive(b"POST http://[::1]:80?q HTTP/1.1\r\nHost: other\r\nX-A: 1\r\nX-A: \xe9\r\n\r\n");
    assert_eq!(owner.seen.len(), 1);
}

#[test]
fn percent_decoding_gives_bytes() {
    for (encoded, decoded) in [
        ("/a%20b%2Fc", &b"/a b/c"[..]),
        ("%c3%A9+", b"\xc3\xa9+"),
        ("%", b"%"),
        ("%4", b"%4"),
        ("%%34", b"%4"),
        ("", b""),
    ] {
        let mut found = Vec::new();
        handwound_wsgi::http1::percent_decode(encoded.as_bytes(), &mut found);
        assert_eq!(found, decoded, "{encoded}");
    }
}
