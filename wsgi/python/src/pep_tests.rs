//! What PEP 3333 asks of servers, point by point, where no other test says it already; see `wsgi/REQUIREMENTS.md`.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};

use crate::socket_server::{Server, body, logged};

/// PEP 3333, Specification Details: positional arguments, a builtin dict, and a `write` that comes back.
#[test]
fn the_application_is_called_with_two_positional_arguments() {
    let server = Server::start(
        "
def application(*arguments, **named):
    environ, start_response = arguments
    write = start_response('200 OK', [])
    shown = [len(arguments), named, type(environ) is dict, callable(write)]
    environ['handwound.tests'] = object()
    del environ['REQUEST_METHOD']
    return [repr(shown).encode()]
",
    );
    assert_eq!(body(&server.get("/")), "[2, {}, True, True]");
}

/// PEP 3333, Specification Details: of what the application returned, nothing but iteration and `close` is used.
#[test]
fn no_other_attribute_of_the_result_is_asked_for() {
    let server = Server::start(
        "
asked = []
class Result:
    def __iter__(self): return iter([b'one ', b'two'])
    def __getattr__(self, name):
        asked.append(name)
        raise AttributeError(name)
def application(environ, start_response):
    start_response('200 OK', [])
    return Result()
",
    );
    assert!(server.get("/").starts_with("HTTP/1.1 200 "));
    assert_eq!(server.eval("set(asked) - {'close'}"), "set()");
}

/// PEP 3333, Specification Details and Buffering and Streaming: each block is on its way before the next is asked for,
/// and every byte of it is as it was.
#[test]
fn a_block_reaches_the_client_before_the_next_is_made() {
    let server = Server::start(
        "
import threading
arrived = threading.Event()
def application(environ, start_response):
    write = start_response('200 OK', [('Content-Length', '12')])
    block = b'a\\r\\n\\n\\0\\xff'
    if environ['PATH_INFO'] == '/write':
        write(block)
    else:
        yield block
    yield b'' if arrived.wait(20) else b'late'
    yield block
",
    );
    for path in ["/write", "/yield"] {
        let mut stream = server.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n\r\na\r\n\n\0\xff") {
            let mut piece = [0; 1024];
            let bytes = stream.read(&mut piece).unwrap();
            assert!(bytes > 0, "the connection ended: {}", received.escape_ascii());
            received.extend_from_slice(&piece[..bytes]);
        }
        server.eval("arrived.set()");
        stream.read_to_end(&mut received).unwrap();
        assert!(received.ends_with(b"\r\n\r\na\r\n\n\0\xffa\r\n\n\0\xff"), "{}", received.escape_ascii());
        server.eval("arrived.clear()");
    }
}

/// PEP 3333, The start_response() Callable: no byte leaves before the first that is not empty, or the end, so the head
/// can still be replaced.
#[test]
fn empty_blocks_send_no_head() {
    let server = Server::start(
        "
import sys
def application(environ, start_response):
    start_response('200 OK', [('X-First', '1')])(b'')
    yield b''
    try: raise KeyError('late')
    except KeyError: start_response('503 Sorry', [('X-Second', '1')], sys.exc_info())
    yield b'sorry'
",
    );
    let answer = server.get("/");
    assert!(answer.starts_with("HTTP/1.1 503 Sorry\r\nX-Second: 1\r\n") && !answer.contains("X-First"), "{answer}");
}

/// PEP 3333, The start_response() Callable: a second call is fatal also where the first was refused.
#[test]
fn a_refused_start_response_counts_as_called() {
    for first in ["'OK', []", "'200 OK', [('X-A', 'a\\r\\nb')]", "200, []", "'200 OK', [5]"] {
        let server = Server::start(&format!(
            "
import sys
def application(environ, start_response):
    try: start_response({first})
    except Exception:
        extra = (sys.exc_info(),) if environ['PATH_INFO'] == '/with' else ()
        start_response('200 OK', [], *extra)
    return [b'second']
"
        ));
        let without = server.get("/without");
        assert!(without.starts_with("HTTP/1.1 500 ") && !without.contains("second"), "{first}: {without}");
        assert_eq!(body(&server.get("/with")), "second", "{first}");
    }
    assert!(logged("start_response was called a second time, without exc_info") >= 4);
}

/// PEP 3333, The start_response() Callable: nothing keeps `exc_info` beyond the call, so that no circle of frames forms.
#[test]
fn nothing_holds_on_to_exc_info() {
    let server = Server::start(
        "
import sys, weakref
class Trouble(Exception): pass
seen = []
def application(environ, start_response):
    start_response('200 OK', [])
    try: raise Trouble()
    except Trouble as trouble:
        seen.append(weakref.ref(trouble))
        start_response('500 Trouble', [], sys.exc_info())
    return [str(seen[0]() is None).encode()]
",
    );
    assert_eq!(body(&server.get("/")), "True");
}

/// PEP 3333, Handling the Content-Length Header: not a byte more than it says, by `write` or by iteration.
#[test]
fn no_more_is_sent_than_content_length_says() {
    for lines in ["write(b'abc'); return [b'def']", "write(b'abcdef'); return []", "return [b'a', b'bcdef', b'g']"] {
        let server = Server::start(&format!(
            "
def application(environ, start_response):
    write = start_response('200 OK', [('Content-Length', '4')])
    {lines}
"
        ));
        let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let answers = server.ask(format!("{request}GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        let answers = String::from_utf8(answers).unwrap();
        assert_eq!(answers.matches("\r\n\r\nabcd").count(), 2, "{lines}: {answers}");
        assert!(answers.ends_with("\r\n\r\nabcd") && !answers.contains("bcde"), "{lines}: {answers}");
    }
}

/// PEP 3333, environ Variables and Unicode Issues: every CGI variable is a `str` of latin-1 characters, whatever the
/// client sent; SERVER_NAME and SERVER_PORT are never empty.
#[test]
fn cgi_variables_are_native_strings_of_latin_1() {
    let server = Server::start(
        "
def application(environ, start_response):
    wrong = [k for k, v in environ.items() if '.' not in k and type(v) is not str]
    for value in environ.values():
        if type(value) is str: value.encode('latin-1')
    start_response('200 OK', [])
    shown = [wrong, environ['PATH_INFO'], environ.get('HTTP_X_A'), bool(environ['SERVER_NAME']), bool(environ['SERVER_PORT'])]
    return [ascii(shown).encode()]
",
    );
    let get = |head: &[u8]| {
        let answer = server.ask([head, b"Connection: close\r\n\r\n"].concat());
        body(&String::from_utf8(answer).unwrap()).to_owned()
    };
    let shown = get(b"GET /caf%C3%A9%FF HTTP/1.1\r\nHost: x\r\nX-A: \xe2\x82\xac\xff\r\n");
    assert_eq!(shown, r"[[], '/caf\xc3\xa9\xff', '\xe2\x82\xac\xff', True, True]");
    assert_eq!(get(b"GET / HTTP/1.1\r\nHost:\r\n"), "[[], '/', None, True, True]");
    assert_eq!(get(b"GET / HTTP/1.0\r\n"), "[[], '/', None, True, True]");
}

/// PEP 3333, environ Variables: what a proxy or a client may put into a head never becomes the server's own word.
#[test]
fn header_fields_cannot_pose_as_other_variables() {
    let server = Server::start(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    names = ['REMOTE_USER', 'SCRIPT_NAME', 'HTTP_PROXY', 'HTTP_CONTENT_LENGTH', 'HTTP_CONTENT_TYPE', 'HTTPS']
    return [repr([environ.get(n) for n in names] + [environ['wsgi.url_scheme'], environ['SERVER_PORT'] != '1']).encode()]
",
    );
    let fields = "Remote_User: root\r\nSCRIPT_NAME: /evil\r\nProxy: http://evil/\r\nX-Forwarded-Proto: https\r\n\
                  Content_Length: 3\r\nContent_Type: evil\r\nHTTPS: on\r\nX-Forwarded-Port: 1\r\n";
    assert_eq!(body(&server.get_with("/", fields)), "[None, '', None, None, None, None, 'http', True]");
}

/// PEP 3333, Input and Error Streams: the methods that must be there, and those on errors.
#[test]
fn both_streams_have_the_methods_they_must_have() {
    let server = Server::start(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    given, errors = environ['wsgi.input'], environ['wsgi.errors']
    shown = [given.readline(), given.read(2), given.readlines(1)[0], next(iter(given)), given.read(), given.read(1)]
    errors.write('\\u20ac'); errors.writelines(['a', 'b']); errors.flush()
    return [repr(shown).encode()]
",
    );
    let request = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 13\r\n\r\na\nbcd\ne\nf\ngh\n";
    let answer = String::from_utf8(server.ask(request)).unwrap();
    assert_eq!(body(&answer), r"[b'a\n', b'bc', b'd\n', b'e\n', b'f\ngh\n', b'']");
}

/// PEP 3333, HTTP 1.1 Expect/Continue: the application needs to know nothing of it.
#[test]
fn expect_continue_is_transparent() {
    let server = Server::start(
        "
def application(environ, start_response):
    start_response('200 OK', [])
    return [environ['wsgi.input'].read()]
",
    );
    let mut stream = server.connect();
    let fields = "Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    write!(stream, "POST / HTTP/1.1\r\nHost: x\r\n{fields}").unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && body(&answer) == "hello", "{answer}");
}
