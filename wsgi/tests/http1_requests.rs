//! Which request heads are taken and which are refused, one table per topic; each row also cut at every byte.

#![allow(clippy::unwrap_used)]

mod http1_driver;

use handwound_wsgi::http1::Config;
use http1_driver::verdict;

/// `input` gives a line that starts with `expected`, or has the status where `expected` is one.
#[track_caller]
fn check(input: &str, expected: &str) {
    check_bytes(input.as_bytes(), expected);
}

#[track_caller]
fn check_bytes(input: &[u8], expected: &str) {
    let verdict = verdict(input, &Config::default());
    assert!(verdict.starts_with(expected), "{}\n gives {verdict}\n not   {expected}", input.escape_ascii());
}

/// A request line, with what follows in a good request.
#[track_caller]
fn check_line(line: &str, expected: &str) {
    check(&format!("{line}\r\nHost: h\r\n\r\n"), expected);
}

/// Field lines after a good request line and Host. Answers `OK` for a request that is taken.
#[track_caller]
fn check_fields(fields: &str, expected: &str) {
    let expected = if expected == "OK" { "POST /p HTTP/1.1 Host: h" } else { expected };
    check(&format!("POST /p HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n"), expected);
}

#[test]
fn request_lines_have_three_parts_and_two_spaces() {
    check_line("GET / HTTP/1.1", "GET / HTTP/1.1");
    check_line("M-SEARCH /x HTTP/1.1", "M-SEARCH /x HTTP/1.1");
    check_line("!#$%&'*+-.^_`|~09aZ / HTTP/1.1", "!#$%&\\'*+-.^_`|~09aZ / HTTP/1.1");
    for bad in [
        "BROKEN",
        "GET /",
        "GET / ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / x HTTP/1.1",
        " GET / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1\t",
        "GE(T) / HTTP/1.1",
        "{GET} / HTTP/1.1",
        "G\u{c9}T / HTTP/1.1",
        "GE\0T / HTTP/1.1",
        "\rGET / HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET  HTTP/1.1",
        "/ HTTP/1.1",
    ] {
        check_line(bad, "400");
    }
}

#[test]
fn versions_are_exactly_two() {
    check_line("GET / HTTP/1.0", "GET / HTTP/1.0");
    for unsupported in ["HTTP/2.0", "HTTP/3.0", "HTTP/1.2", "HTTP/0.9", "HTTP/9.9"] {
        check_line(&format!("GET / {unsupported}"), "505");
    }
    for bad in [
        "http/1.1",
        "HTTP/1.10",
        "HTTP/01.1",
        "XHTTP/1.1",
        "HTTP/1.x",
        "HTTP1.1",
        "HTTP/1,1",
        "HTTP/",
        "HTTP/4294967297.1",
    ] {
        check_line(&format!("GET / {bad}"), "400");
    }
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505");
}

#[test]
fn a_foreign_protocol_is_told_by_its_first_byte() {
    check_bytes(b"\x16\x03\x01\x02\x00\x01", "400 Bad Request: the request line does not start with a method");
    check_bytes(b"\0", "400");
}

#[test]
fn a_few_empty_lines_may_stand_before_a_request() {
    check("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1");
    check("\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1");
    check("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400 Bad Request: too many empty lines");
    check("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400");
}

#[test]
fn lines_end_in_cr_lf() {
    check("GET / HTTP/1.1\nHost: h\n\n", "400 Bad Request: a line ends in a bare LF");
    check("GET / HTTP/1.1\nHost: h\r\n\r\n", "400");
    check("GET / HTTP/1.1\r\nHost: h\n\r\n", "400");
    check("GET / HTTP/1.1\r\nHost: h\r\n\n", "400");
    check("GET / HTTP/1.1\r\nHost: h\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n", "400");
    check("GET / HTTP/1.1\rHost: h\r\n\r\n", "400");
    check("GET / HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n", "400");
    check("GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", "400");
    check("GET / HTTP/1.1\r\nHost: h\r\n\rX\r\n\r\n", "400");
}

#[test]
fn origin_form_targets_follow_rfc_3986() {
    for good in [
        "/",
        "//",
        "/a//b",
        "/a;v=1/b;w",
        "/!$&'()*+,;=:@-._~",
        "/%4a%4A",
        "/caf%C3%A9",
        "/%ff",
        "/a%2Fb",
        "/../../etc",
        "/a?b=c&d=e",
        "/?",
        "/a?/b/../c",
        "/r?u=http://x/y?z",
        "/a?%zz",
        "/a?%",
        "/a?x[]=1",
        "/a[1]",
    ] {
        check_line(&format!("GET {good} HTTP/1.1"), &format!("GET {} HTTP/1.1 Host: h", good.escape_default()));
    }
    for byte in ["<", ">", "\"", "\\", "^", "`", "{", "|", "}", "\u{e9}", "\0", "\x01", "\x7f", "#", "\t"] {
        check_line(&format!("GET /a{byte}b HTTP/1.1"), "400");
        check_line(&format!("GET /a?{byte}b HTTP/1.1"), "400");
    }
    for bad in ["/%", "/%4", "/%zz", "/%4g", "/a%00b", "/a%?b"] {
        check_line(&format!("GET {bad} HTTP/1.1"), "400");
    }
    check_bytes(b"GET /caf\xe9 HTTP/1.1\r\nHost: h\r\n\r\n", "400");
}

/// RFC 3986 section 2.2: brackets are for hosts, to the letter.
#[test]
fn brackets_may_be_refused() {
    let strict = Config { refuse_brackets_in_targets: true, ..Config::default() };
    for (target, expected) in [
        ("/a[1]", "400"),
        ("/a]", "400"),
        ("/a?b[]=1", "400"),
        ("http://h/[", "400"),
        ("/a%5B1%5D?b%5b%5d", "GET "),
        ("http://[::1]/a?b", "GET "),
        ("http://[::1]", "GET "),
    ] {
        let verdict = verdict(format!("GET {target} HTTP/1.1\r\nHost: [::1]\r\n\r\n").as_bytes(), &strict);
        assert!(verdict.starts_with(expected), "{target} gives {verdict}");
    }
}

#[test]
fn the_other_forms_stand_where_they_may() {
    check_line("GET http://example.com/a/b?c=d HTTP/1.1", "GET http://example.com/a/b?c=d HTTP/1.1 Host: example.com");
    check_line("GET HTTP://[::1]:8080 HTTP/1.1", "GET HTTP://[::1]:8080 HTTP/1.1 Host: [::1]:8080");
    check_line("GET https://e/a HTTP/1.1", "GET https://e/a HTTP/1.1 Host: e");
    check("GET http://e/a HTTP/1.0\r\n\r\n", "GET http://e/a HTTP/1.0 Host: e");
    check("GET http://e/a HTTP/1.1\r\n\r\n", "400 Bad Request: HTTP/1.1 without a Host field");
    check_line("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1");
    check_line("GET * HTTP/1.1", "400");
    check_line("OPTIONS ** HTTP/1.1", "400");
    check_line("CONNECT example.com:443 HTTP/1.1", "501");
    check_line("CONNECT /x HTTP/1.1", "501");
    for bad in [
        "../x",
        "x",
        "?a",
        "http:///x",
        "http://",
        "http://?a",
        "://x/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://user@h/",
        "http://h:x/",
        "http://h:65536/",
        "http://h/#f",
        "http://h/<",
        "http:/h/",
        "example.com:80",
        "#",
    ] {
        check_line(&format!("GET {bad} HTTP/1.1"), "400");
    }
}

#[test]
fn hosts_are_one_and_valid() {
    let head = |hosts: &str| format!("GET / HTTP/1.1\r\n{hosts}\r\n");
    for good in [
        "example.com",
        "example.com:8080",
        "h:",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:80",
        "[v1.a:b]",
        "a_b",
        "a,b",
        "",
        "%C3%A9.x",
    ] {
        check(&head(&format!("Host: {good}\r\n")), "GET / HTTP/1.1 Host");
    }
    for bad in [
        "example.com#x",
        "a/b",
        "a?b",
        "user@h",
        "a b",
        "a\tb",
        "h\\x",
        "exa%00mple",
        "a%2fb",
        "a%4",
        "[::1",
        "::1",
        "[::g]",
        "[]",
        "[::1]x",
        "[fe80::1%25eth0]",
        "[v.a]",
        "[v1.]",
        "h:80:80",
        ":80",
        ":",
        "h:-1",
        "h:+1",
        "h:65536",
        "h:99999999999999999999",
        "<h>",
        "h\"",
    ] {
        check(&head(&format!("Host: {bad}\r\n")), "400");
        check(&format!("GET / HTTP/1.0\r\nHost: {bad}\r\n\r\n"), "400");
    }
    check(&head(""), "400 Bad Request: HTTP/1.1 without a Host field");
    check("GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0");
    check(&head("Host: a\r\nHost: b\r\n"), "400 Bad Request: two Host fields");
    check(&head("Host: a\r\nhost: a\r\n"), "400");
    check(&head("Host : a\r\n"), "400");
}

#[test]
fn field_lines_are_token_colon_value() {
    for good in
        ["X!#$%&'*+.^`|~1: v", "X-A:", "X-A: \t ", "X-A: a\tb", "X-A: a:b::c", "X-A:v", "X-A: \"(),/:;<=>?@[\\]{}"]
    {
        check_fields(good, "OK");
    }
    check_bytes(
        b"POST /p HTTP/1.1\r\nHost: h\r\nX-A: \xa0v\x85\r\n\r\n",
        "POST /p HTTP/1.1 Host: h X-A: \\xa0v\\x85 |",
    );
    for byte in "\t \"(),/;<=>?@[\\]{}\0\x01\x0b\x0c\x7f\u{a0}\u{ff}".chars() {
        check_fields(&format!("X{byte}A: v"), "400");
    }
    for byte in (0_u8..32).chain([127]).filter(|byte| *byte != b'\t') {
        let text = format!("POST /p HTTP/1.1\r\nHost: h\r\nX-A: a{}b\r\n\r\n", char::from(byte));
        check(&text, "400");
    }
    for bad in [
        ":",
        ": v",
        "X-A",
        "X-A : v",
        "X-A\t: v",
        " X-A: v",
        "X-A: a\r\n b",
        "X-A: a\r\n\tb",
        "Transfer-\r\nEncoding: chunked",
    ] {
        check_fields(bad, "400");
    }
    check("POST / HTTP/1.1\r\n X-A: v\r\nHost: h\r\n\r\n", "400");
}

#[test]
fn underscore_names_are_dropped_unless_kept() {
    let input = b"GET / HTTP/1.1\r\nHost: h\r\nX_User: root\r\nX-User: me\r\n\r\n";
    assert_eq!(verdict(input, &Config::default()), "GET / HTTP/1.1 Host: h X-User: me | ");
    let keep = Config { keep_underscore_headers: true, ..Config::default() };
    assert_eq!(verdict(input, &keep), "GET / HTTP/1.1 Host: h X_User: root X-User: me | ");
    check("POST / HTTP/1.1\r\nHost: h\r\nContent_Length: 5\r\n\r\nhello", "POST / HTTP/1.1 Host: h | ");
}

#[test]
fn content_length_is_one_plain_number() {
    check_fields("Content-Length: 0", "OK");
    check(
        "POST / HTTP/1.1\r\nHost: h\r\ncontent-length:\t005 \r\n\r\nhello",
        "POST / HTTP/1.1 Host: h content-length: 005 | hello",
    );
    for bad in [
        "", "+5", "-5", "5.0", "five", "5 5", "5;", "5, 5", "5, 6", "(5)", "0x5", "5/5", "+ 5", "\u{665}", "\"5\"",
        "1e3",
    ] {
        check_fields(&format!("Content-Length: {bad}"), "400");
    }
    for twice in [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length:",
        "Content-Length: 0\r\nCONTENT-LENGTH: 5",
    ] {
        check_fields(twice, "400");
    }
    for large in
        ["1073741825", "9223372036854775807", "9223372036854775808", "18446744073709551616", "18446744073709551621"]
    {
        check_fields(&format!("Content-Length: {large}"), "413");
    }
    check_fields(&format!("Content-Length: {}", "9".repeat(500)), "413");
}

#[test]
fn transfer_encoding_is_chunked_alone_or_nothing() {
    let body = "\r\n\r\n5\r\nhello\r\n0";
    check_fields(&format!("Transfer-Encoding: chunked{body}"), "OK");
    check_fields(&format!("Transfer-Encoding: CHUNKED{body}"), "OK");
    for unknown in [
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        "cow",
        "cow, chunked",
        "chunked, cow",
        "chunked;q=1",
        "identity",
        ",chunked",
        "chunked, chunked",
    ] {
        check_fields(&format!("Transfer-Encoding: {unknown}{body}"), "501");
        check_fields(&format!("Content-Length: 5\r\nTransfer-Encoding: {unknown}{body}"), "400");
    }
    check_fields(&format!("Transfer-Encoding:{body}"), "400");
    for control in ["chunked\0", "\x0bchunked", "chunked\x0c", "chunked\r"] {
        check_fields(&format!("Transfer-Encoding: {control}{body}"), "400");
    }
    check_fields(&format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked{body}"), "400");
    check_fields(&format!("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked{body}"), "400");
    check_fields(&format!("Content-Length: 5\r\nTransfer-Encoding: chunked{body}"), "400");
    check_fields(&format!("Transfer-Encoding: chunked\r\nContent-Length: 0{body}"), "400");
    check(&format!("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked{body}\r\n\r\n"), "400");
}

#[test]
fn expectations_are_one() {
    check_fields("Content-Length: 0\r\nExpect: 100-Continue", "OK");
    check_fields("Expect: teleport", "417");
    check_fields("Expect: 100-continue, teleport", "417");
    check_fields("Expect: 100-continue\r\nExpect: 100-continue", "417");
    check_fields("Expect: 100-continue\r\nContent-Length: 9999999999", "413");
}

#[test]
fn limits_are_exact() {
    let config = Config { request_line_bytes_max: 20, head_bytes_max: 64, header_count_max: 3, ..Config::default() };
    let check = |input: String, expected: &str| {
        let verdict = verdict(input.as_bytes(), &config);
        assert!(verdict.starts_with(expected), "{input:?} gives {verdict}");
    };
    let line = |bytes: usize| format!("GET /{} HTTP/1.1", "a".repeat(bytes - 14));
    check(format!("{}\r\nHost: h\r\n\r\n", line(20)), "GET /a");
    check(format!("{}\r\nHost: h\r\n\r\n", line(21)), "414 URI Too Long: the request line is too long");
    check("a".repeat(22), "414 URI Too Long: the request line is too long");
    check("a".repeat(21), "nothing");
    let head = |bytes: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "v".repeat(bytes - 32));
    check(head(64), "GET / ");
    check(head(65), "431");
    check(format!("GET / HTTP/1.1\r\n{}", "v".repeat(48)), "431");
    check("GET / HTTP/1.1\r\nHost: h\r\nA:\r\nB:\r\n\r\n".to_owned(), "GET / ");
    check("GET / HTTP/1.1\r\nHost: h\r\nA:\r\nB:\r\nC:\r\n".to_owned(), "431");
}

#[test]
fn more_fields_than_usual_are_all_there() {
    for count in [15, 16, 17, 127, 128, 129, 300] {
        let config = Config { header_count_max: 400, ..Config::default() };
        let fields: String = (1..count).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let mut owner = http1_driver::Owner::new(config, http1_driver::echo);
        owner.connection.receive(format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes(), owner.now);
        let Some(handwound_wsgi::http1::Event::Head(head)) = owner.connection.poll_event(http1_driver::wall) else {
            panic!()
        };
        assert_eq!(head.header_count(), count);
        assert_eq!(head.get(&format!("x-{}", count - 1)), Some((count - 1).to_string().as_bytes()));
    }
}
