//! What an application finds in its environ; the numbers are those of the container's specification.
#![allow(clippy::unwrap_used)]

use crate::socket_server::{Server, body};

const SHOW: &str = "
def application(environ, start_response):
    start_response('200 OK', [])
    names = environ['HTTP_SHOW'].split()
    return [repr({name: environ.get(name, 'absent') for name in names}).encode('latin-1')]
";

#[track_caller]
fn check(target: &str, headers: &str, expected: &[(&str, &str)]) {
    let server = Server::start(SHOW);
    let names: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
    let answer = server.get_with(target, &format!("Show: {}\r\n{headers}", names.join(" ")));
    let pairs: Vec<_> = expected.iter().map(|(name, value)| format!("'{name}': {value}")).collect();
    assert_eq!(body(&answer), format!("{{{}}}", pairs.join(", ")));
}

#[test]
fn paths_are_decoded_and_the_raw_target_is_there_too() {
    check("/", "", &[("SCRIPT_NAME", "''"), ("PATH_INFO", "'/'"), ("QUERY_STRING", "''")]);
    check("//x", "", &[("SCRIPT_NAME", "''"), ("PATH_INFO", "'//x'")]);
    let (path, raw) = ("'/a b/\u{c3}\u{a9}'", "'/a%20b/%C3%A9?q=%20&r'");
    let expected = [("PATH_INFO", path), ("QUERY_STRING", "'q=%20&r'"), ("RAW_URI", raw), ("REQUEST_URI", raw)];
    check("/a%20b/%C3%A9?q=%20&r", "", &expected);
}

#[test]
fn header_fields_are_joined_and_deceptive_ones_left_out() {
    let headers =
        "X-Foo: a\r\nx-foo: b\r\nCookie: a=1\r\nCookie: b=2\r\nX_Bar: c\r\nProxy: d\r\nContent-Type: text/x\r\n";
    let expected = [
        ("HTTP_X_FOO", "'a,b'"),
        ("HTTP_COOKIE", "'a=1; b=2'"),
        ("HTTP_X_BAR", "'absent'"),
        ("HTTP_PROXY", "'absent'"),
        ("HTTP_CONTENT_TYPE", "'absent'"),
        ("CONTENT_TYPE", "'text/x'"),
    ];
    check("/", headers, &expected);
}

/// PEP 3333, environ Variables.
#[test]
fn what_pep_3333_asks_for_is_there() {
    let expected = [
        ("REQUEST_METHOD", "'GET'"),
        ("SERVER_PROTOCOL", "'HTTP/1.1'"),
        ("SERVER_NAME", "'test'"),
        ("REMOTE_ADDR", "'127.0.0.1'"),
        ("CONTENT_TYPE", "''"),
        ("CONTENT_LENGTH", "''"),
        ("wsgi.version", "(1, 0)"),
        ("wsgi.url_scheme", "'http'"),
        ("wsgi.multithread", "True"),
        ("wsgi.multiprocess", "False"),
        ("wsgi.run_once", "False"),
        ("wsgi.input_terminated", "True"),
    ];
    check("/", "", &expected);
}

/// PEP 3333, environ Variables and Other HTTP Features.
#[test]
fn the_length_of_a_body_is_known_however_it_came() {
    let server = Server::start(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    length, body = environ['CONTENT_LENGTH'], environ['wsgi.input'].read()
    return [repr((length, 'HTTP_CONTENT_LENGTH' in environ, body)).encode()]
",
    );
    let post = |head: &str, sent: &str| {
        let request = format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n\r\n{sent}");
        body(&String::from_utf8(server.ask(request)).unwrap()).to_owned()
    };
    assert_eq!(post("Content-Length: 5", "hello"), "('5', False, b'hello')");
    assert_eq!(post("Content-Length: 0", ""), "('0', False, b'')");
    assert_eq!(post("Transfer-Encoding: chunked", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), "('5', False, b'hello')");
}

#[test]
fn each_request_has_an_environ_of_its_own() {
    let server = Server::start(
        "
seen = []
def application(environ, start_response):
    seen.append(dict(environ))
    environ.clear()
    start_response('200 OK', [])
    return []
",
    );
    server.get_with("/first", "X-First: 1\r\n");
    server.get("/second");
    assert_eq!(server.eval("[type(e) is dict for e in seen]"), "[True, True]");
    assert_eq!(server.eval("[e['PATH_INFO'] for e in seen]"), "['/first', '/second']");
    assert_eq!(server.eval("[e.get('HTTP_X_FIRST') for e in seen]"), "['1', None]");
    assert_eq!(server.eval("sorted({type(v).__name__ for e in seen for k, v in e.items() if k.isupper()})"), "['str']");
}

#[test]
fn values_that_come_again_share_a_string_but_personal_ones_do_not() {
    let server = Server::start(
        "
seen = []
def application(environ, start_response):
    seen.append(dict(environ))
    start_response('200 OK', [])
    return []
def shared(key):
    return len({id(environ[key]) for environ in seen[2:]}) == 1
",
    );
    for _ in 0..12 {
        server.get_with("/path", "Accept: some/type\r\nCookie: a=secret\r\nAuthorization: some secret\r\n");
    }
    let keys = "['PATH_INFO', 'HTTP_ACCEPT', 'REMOTE_ADDR', 'HTTP_COOKIE', 'HTTP_AUTHORIZATION']";
    assert_eq!(server.eval(&format!("[shared(key) for key in {keys}]")), "[True, True, True, False, False]");
    assert_eq!(server.eval("seen[-1]['PATH_INFO'] is seen[-1]['RAW_URI']"), "True");
}

#[test]
fn nothing_personal_is_remembered() {
    let server = Server::start(
        "
import sys
def application(environ, start_response):
    global kept
    kept = [environ['HTTP_COOKIE'], environ['HTTP_AUTHORIZATION'], environ['wsgi.input']]
    start_response('200 OK', [])
    return []
",
    );
    // At first environs are copies, later they are lent.
    for _ in 0..20 {
        let personal = "Cookie: a=secret\r\nAuthorization: some secret\r\nContent-Length: 1\r\n";
        server.ask(format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{personal}\r\n."));
        // The list's, and that of the call.
        assert_eq!(server.eval("list(map(sys.getrefcount, kept))"), "[2, 2, 2]");
    }
}

#[test]
fn a_head_that_comes_again_says_nothing_of_the_length_of_a_chunked_body() {
    let server = Server::start(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    return [repr((environ['CONTENT_LENGTH'], environ['wsgi.input'].read())).encode()]
",
    );
    let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    for round in 0..6 {
        for (chunks, expected) in [("", "('0', b'')"), ("1\r\na\r\n", "('1', b'a')"), ("2\r\nab\r\n", "('2', b'ab')")] {
            let answer = String::from_utf8(server.ask(format!("{head}{chunks}0\r\n\r\n"))).unwrap();
            assert_eq!(body(&answer), expected, "in round {round}");
        }
    }
}
