//! What becomes of what an application returns, writes and raises.
#![allow(clippy::unwrap_used)]

use crate::socket_server::{Server, body, logged};

/// `lines` as the body of an application.
fn serving(lines: &str) -> Server {
    Server::start(&code(lines))
}

fn code(lines: &str) -> String {
    let lines: Vec<_> = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("import sys\ndef application(environ, start_response):\n{}", lines.concat())
}

#[track_caller]
fn answers(lines: &str, expected_body: &str) {
    let answer = serving(lines).get("/");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(body(&answer), expected_body, "{answer}");
}

#[track_caller]
fn fails(lines: &str, log: &str) {
    let before = logged(log);
    let answer = serving(lines).get("/");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(logged(log) - before, 1, "not once in the log: {log}");
}

/// PEP 3333, Handling the Content-Length Header.
#[test]
fn one_piece_gets_a_length_and_several_are_chunked() {
    let one = serving("start_response('200 OK', [])\nreturn [b'hello']").get("/");
    assert!(one.contains("Content-Length: 5\r\n") && one.ends_with("\r\n\r\nhello"), "{one}");
    let two = serving("start_response('200 OK', [])\nreturn [b'hel', b'', b'lo']").get("/");
    assert!(two.contains("Transfer-Encoding: chunked\r\n"), "{two}");
    // Pieces that wait together leave as one chunk.
    let chunks = ["5\r\nhello\r\n0\r\n\r\n", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"];
    assert!(chunks.contains(&body(&two)), "{two}");
    answers("start_response('200 OK', [('Content-Length', '5')])\nreturn iter([b'he', b'', b'llo'])", "hello");
    let empty = serving("start_response('200 OK', [])\nreturn (b'',)").get("/");
    assert!(empty.contains("Content-Length: 0\r\n"), "{empty}");
}

/// PEP 3333, The write() Callable.
#[test]
fn write_and_the_iterable_follow_each_other() {
    answers(
        "write = start_response('200 OK', [('Content-Length', '9')])\nwrite(b'abc')\nwrite(b'def')\nreturn [b'ghi']",
        "abcdefghi",
    );
}

/// PEP 3333, Specification Details.
#[test]
fn start_response_may_come_with_the_first_piece() {
    answers("start_response('200 OK', [('Content-Length', '2')])\nyield b'ok'", "ok");
}

#[test]
fn an_ascii_str_passes_with_one_warning() {
    let server = serving("start_response('200 OK', [])\nreturn ['Hello']");
    let warning = "the response body holds a str; PEP 3333 asks for bytes";
    let before = logged(warning);
    assert_eq!(body(&server.get("/")), "Hello");
    assert_eq!(body(&server.get("/")), "Hello");
    // Another test's application may have been warned meanwhile, but there is none that returns a str.
    assert_eq!(logged(warning) - before, 1);
}

#[test]
fn other_strs_fail_and_strict_refuses_all() {
    fails("start_response('200 OK', [])\nreturn ['Hell\\xf6']", "not the str 'Hell\u{f6}', which is not ASCII");
    let strict = Server::with(&code("start_response('200 OK', [])\nreturn ['Strict']"), true);
    assert!(strict.get("/").starts_with("HTTP/1.1 500 "));
    assert_eq!(logged("not the str 'Strict', which --strict refuses"), 1);
}

#[test]
fn wrong_results_name_the_rule() {
    fails("start_response('200 OK', [])", "an application must return an iterable of bytes (PEP 3333), not None");
    fails("start_response('200 OK', [])\nreturn 'text'", "not a str; return [text.encode()]");
    fails(
        "start_response('200 OK', [])\nreturn 5.5",
        "an application must return an iterable of bytes (PEP 3333), not float",
    );
    fails("start_response('200 OK', [])\nreturn b'AB'", "not 65 (int); return [body], not the bytes themselves");
    fails("start_response('200 OK', [])\nreturn [bytearray(b'ba')]", "not bytearray(b'ba') (bytearray)");
    fails("return [b'never started']", "without calling start_response (PEP 3333)");
    fails("return iter([b'', b'started never'])", "a body before start_response was called (PEP 3333)");
}

/// PEP 3333, The start_response() Callable and Unicode Issues.
#[test]
fn wrong_heads_name_the_value() {
    let start = |arguments: &str| format!("start_response({arguments})\nreturn []");
    fails(&start("200, []"), "status must be str, not 200 (int)");
    fails(&start("b'200 OK', []"), "status must be str, not b'200 OK' (bytes)");
    fails(&start("'teapot', []"), "status 'teapot' is not three digits, a space and a reason");
    fails(&start("'200 OK', {'a': 'b'}"), "headers must be a list, not {'a': 'b'} (dict)");
    fails(&start("'200 OK', [('a',)]"), "header must be a (str, str) tuple, not ('a',) (tuple)");
    fails(&start("'200 OK', ['ab']"), "header must be a (str, str) tuple, not 'ab' (str)");
    fails(&start("'200 OK', [('x-int', 1)]"), "header must be a (str, str) tuple, not ('x-int', 1) (tuple)");
    fails(
        &start("'200 OK', [('X-Euro', '\\u20ac')]"),
        "value of header 'X-Euro' '\u{20ac}' has characters outside latin-1",
    );
    fails(&start("'200 OK', [('X-Split', 'a\\r\\nb')]"), "of header 'X-Split' holds a control character");
    fails(&start("'200 OK', [('Connection', 'close')]"), "header 'Connection' is hop-by-hop");
}

#[test]
fn headers_keep_their_order_and_latin1() {
    let answer = serving(
        "start_response('200 OK', [('Set-Cookie', 'a'), ('X-E', '\\xe9'), ('Set-Cookie', 'b')])\nreturn [b'x']",
    )
    .get("/");
    assert!(answer.contains("\r\nSet-Cookie: a\r\nX-E: \u{e9}\r\nSet-Cookie: b\r\n"), "{answer}");
}

#[test]
fn a_tuple_of_headers_only_warns() {
    let answer = serving("start_response('200 OK', (('X-T', '1'), ['X-L', '2']))\nreturn [b'x']").get("/");
    assert!(answer.contains("X-T: 1\r\nX-L: 2\r\n"), "{answer}");
    assert_eq!(logged("the headers given to start_response are a tuple"), 1);
    assert_eq!(logged("the header ['X-L', '2'] given to start_response is a list"), 1);
}

#[test]
fn a_second_start_response_needs_exc_info() {
    fails(
        "start_response('200 OK', [])\nstart_response('201 Created', [])\nreturn [b'second']",
        "start_response was called a second time, without exc_info",
    );
    let replaced = serving(
        "start_response('200 OK', [('X-Old', '1')])
try:
    raise KeyError('replaced')
except KeyError:
    start_response('503 Sorry', [('X-New', '1')], sys.exc_info())
return [b'sorry']",
    );
    let answer = replaced.get("/");
    assert!(answer.starts_with("HTTP/1.1 503 Sorry\r\n") && answer.contains("X-New: 1"), "{answer}");
    assert!(!answer.contains("X-Old"), "{answer}");
    fails(
        "start_response('200 OK', [], 7)\nreturn []",
        "exc_info must be a tuple as sys.exc_info() gives it, not 7 (int)",
    );
}

/// PEP 3333, The start_response() Callable and Error Handling.
#[test]
fn exc_info_after_output_raises_and_cuts() {
    let server = serving(
        "write = start_response('200 OK', [])
write(b'part')
try:
    raise KeyError('after output')
except KeyError:
    start_response('500 Late', [], sys.exc_info())
return [b'never']",
    );
    let answer = server.get("/");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("never"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "looks complete: {answer}");
    assert_eq!(logged("KeyError: 'after output'"), 1);
}

#[test]
fn an_exception_is_logged_once_with_its_traceback() {
    fails("raise KeyError('in the call')", "KeyError: 'in the call'");
    fails("start_response('200 OK', [])\nyield b''\nraise KeyError('before output')", "KeyError: 'before output'");
    fails("try:\n    {}['inner']\nexcept KeyError:\n    raise ValueError('outer')", "ValueError: outer");
    assert_eq!(logged("KeyError: 'inner'"), 1, "the cause belongs to the traceback");
}

const CLOSING: &str = "
closed = []
class Result:
    def __init__(self, pieces): self.pieces = iter(pieces)
    def __iter__(self): return self
    def __next__(self):
        piece = next(self.pieces)
        if piece == b'raise': raise KeyError('while iterating')
        return piece
    def close(self):
        closed.append(1)
        if environ_path == '/close-raises': raise KeyError('in close')
def application(environ, start_response):
    global environ_path
    environ_path = environ['PATH_INFO']
    if environ_path != '/no-start': start_response('200 OK', [('Content-Length', '2')])
    return Result({'/raise': [b'raise'], '/late': [b'x', b'raise'], '/bad': [5]}.get(environ_path, [b'o', b'k']))
";

/// PEP 3333, Specification Details.
#[test]
fn close_runs_exactly_once_however_it_ends() {
    let server = Server::start(CLOSING);
    let check = |path: &str, status: &str, times: usize| {
        let answer = server.get(path);
        assert!(answer.starts_with(status), "{path}: {answer}");
        assert_eq!(server.eval("len(closed)"), times.to_string(), "{path}");
    };
    check("/", "HTTP/1.1 200", 1);
    check("/raise", "HTTP/1.1 500", 2);
    check("/late", "HTTP/1.1 200", 3);
    check("/bad", "HTTP/1.1 500", 4);
    check("/no-start", "HTTP/1.1 500", 5);
    check("/close-raises", "HTTP/1.1 200", 6);
    assert_eq!(logged("KeyError: 'in close'"), 1);
}

#[test]
fn a_client_that_leaves_ends_the_iteration_and_closes_once() {
    let server = Server::start(
        "
import threading
from handwound import ClientDisconnected
closed, done, raised = [], threading.Event(), []
def application(environ, start_response):
    write = start_response('200 OK', [])
    if environ['PATH_INFO'] == '/write':
        try:
            while True: write(b'x' * 65536)
        except ClientDisconnected as error:
            raised.append(isinstance(error, OSError))
            raise
        finally:
            done.set()
    return Endless()
class Endless:
    def __iter__(self): return self
    def __next__(self): return b'x' * 65536
    def close(self): closed.append(1); done.set()
",
    );
    let leave = |path: &str| {
        use std::io::{Read, Write};
        let mut stream = server.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 4096]).unwrap();
        drop(stream);
        assert_eq!(server.eval("done.wait(20)"), "True");
        server.eval("done.clear()");
    };
    leave("/iterate");
    assert_eq!(server.eval("closed"), "[1]");
    leave("/write");
    assert_eq!(server.eval("(closed, raised)"), "([1], [True])");
    drop(server);
    assert_eq!(logged("ClientDisconnected"), 0, "a client that leaves is no error");
}

/// PEP 3333, Input and Error Streams.
#[test]
fn wsgi_errors_writes_events() {
    answers(
        "e = environ['wsgi.errors']
assert e.write('one event\\n') == 10
e.writelines(['two ', 'parts\\n'])
e.flush()
print('printed', file=e)
try: e.write(b'bytes')
except TypeError as error: e.write('refused: %s' % error)
start_response('200 OK', [('Content-Length', '2')])
return [b'ok']",
        "ok",
    );
    for text in ["wsgi.errors: one event\n", "wsgi.errors: two parts\n", "wsgi.errors: printed\n"] {
        assert_eq!(logged(text), 1, "{text}");
    }
    assert_eq!(logged("refused: wsgi.errors takes str, not bytes"), 1);
}

/// PEP 3333, Optional Platform-Specific File Handling.
#[test]
fn a_file_is_sent_in_blocks_and_closed() {
    let server = serving(
        "import io
global file
file = io.BytesIO(b'abcdefg')
start_response('200 OK', [('Content-Length', '7')])
wrapper = environ['wsgi.file_wrapper'](file, 3)
assert list(wrapper) == [b'abc', b'def', b'g']
file.seek(0)
return wrapper",
    );
    assert_eq!(body(&server.get("/")), "abcdefg");
    assert_eq!(server.eval("file.closed"), "True");
}

#[test]
fn a_call_that_is_over_refuses_late_writes() {
    let server = Server::start(
        "
def application(environ, start_response):
    global late
    late = start_response('200 OK', [])
    return [b'x']
def write_late():
    try: late(b'more')
    except RuntimeError as error: return str(error)
",
    );
    server.get("/");
    assert_eq!(server.eval("write_late()"), "'a write after the end of its request'");
}

/// The two callables go from request to request, but not those that an application has kept.
#[test]
fn callables_that_are_kept_stay_with_their_request() {
    let server = Server::start(
        "
kept = {}
def application(environ, start_response):
    path = environ['PATH_INFO']
    for late in kept.values():
        try: late(b'late') if late.__class__.__name__ == 'write' else late('200 OK', [('X-Late', '1')])
        except RuntimeError as error: said.append(str(error))
    write = start_response('200 OK', [('X-Path', path)])
    if path == '/start': kept['start'] = start_response
    if path == '/write': kept['write'] = write
    return [path.encode()]
said = []
",
    );
    for path in ["/a", "/start", "/b", "/write", "/c"] {
        let answer = server.get(path);
        assert!(answer.contains(&format!("X-Path: {path}\r\n")) && !answer.contains("X-Late"), "{answer}");
        assert_eq!(body(&answer), path);
    }
    let (start, write) =
        ("start_response was called after the end of its request", "a write after the end of its request");
    assert_eq!(server.eval("said"), format!("['{start}', '{start}', '{start}', '{write}']"));
}
