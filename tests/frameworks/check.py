#!/usr/bin/env python3
"""Exercises one of this folder's applications on a running server.

usage: check.py HOST PORT KIND     (KIND: flask, django, bottle or validated)

Prints one line a check, `ok NAME` or `FAILED NAME: expected … got …`, and a summary as the last line.
Exit code 0 when all hold, 1 when one differs, 2 for a wrong command line. Standard library only.
"""

import hashlib
import http.client
import json
import re
import socket
import sys
import time
from urllib.parse import quote, urlsplit

KINDS = ("flask", "django", "bottle", "validated")
SECONDS_MAX = 10  # A server that hangs is a failed check, not a hung test run.
LARGE = b"0123456789abcde\n" * 18750
STREAM = b"".join(b"chunk %d\n" % n for n in range(50))
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

checks = []


class Differs(Exception):
    """The server answered, but something else."""


def check(*kinds):
    """Registers a function as a check, for these kinds or for all."""

    def register(function):
        checks.append((function.__name__, kinds or KINDS, function))
        return function

    return register


def same(expected, got, what=""):
    if expected != got:
        raise Differs(f"expected {what}{short(expected)} got {short(got)}")


def short(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:120]}… ({len(value)} long)"


class Answer:
    """A whole answer: status, headers, body."""

    def __init__(self, response):
        self.status, self.headers, self.version = response.status, response.headers, response.version
        self.body = response.read()

    def expect(self, status, body=None):
        same(status, self.status, "status ")
        if body is not None:
            same(body, self.body, "body ")
        return self

    def json(self):
        self.expect(200)
        try:
            return json.loads(self.body)
        except ValueError:
            raise Differs(f"expected JSON got {short(self.body)}") from None


class Server:
    """Where to connect, and the few ways in which the checks do."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    def connection(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=SECONDS_MAX)

    def ask(self, method, target, body=None, headers=None, **more):
        """One request on a connection of its own."""
        connection = self.connection()
        try:
            connection.request(method, target, body=body, headers=headers or {}, **more)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, target, **headers):
        return self.ask("GET", target, headers=headers)

    def raw(self, *pieces):
        """These bytes, each piece in a send of its own; then all bytes until the server closes."""
        with socket.create_connection((self.host, self.port), timeout=SECONDS_MAX) as sock:
            for piece in pieces:
                sock.sendall(piece)
            received = b""
            while True:
                piece = sock.recv(65536)
                if not piece:
                    return received
                received += piece

    def host_line(self):
        return b"Host: %s:%d\r\n" % (self.host.encode(), self.port)


def digest(content):
    return hashlib.sha256(content).hexdigest()


def noise(size):
    """Bytes of all values that repeat late, so that a lost or doubled piece is seen."""
    block = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(1031))
    return (block * (size // len(block) + 1))[:size]


@check()
def hello(server):
    answer = server.get("/").expect(200, b"Hello, world!")
    same("text/plain", answer.headers.get_content_type(), "Content-Type ")


@check()
def date_and_server_headers(server):
    headers = server.get("/").headers
    same([1, 1], [len(headers.get_all("Date", [])), len(headers.get_all("Server", []))], "one Date, one Server: ")


@check()
def routing_with_a_name(server):
    server.get("/users/Ada").expect(200, b"Hello, Ada!")


@check()
def query_and_percent_decoding(server):
    target = "/users/" + quote("Ada Lovelace") + "?greeting=Good+day%2C"
    server.get(target).expect(200, b"Good day,, Ada Lovelace!")
    target = "/users/" + quote("Zoë") + "?greeting=" + quote("Olá")
    server.get(target).expect(200, "Olá, Zoë!".encode())


@check()
def no_such_page(server):
    server.get("/no/such/page").expect(404)


@check()
def form_urlencoded(server):
    body = "a=1&a=2&name=Zo%C3%AB+%26+co&equals=x%3Dy"
    expected = {"a": ["1", "2"], "name": ["Zoë & co"], "equals": ["x=y"]}
    same(expected, server.ask("POST", "/form", body, FORM).json(), "fields ")


@check()
def form_in_two_pieces(server):
    head = b"POST /form HTTP/1.1\r\n" + server.host_line() + b"Connection: close\r\n"
    head += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\n"
    received = server.raw(head, b"a=1", b"&b=2")
    same(b"HTTP/1.1 200", received[:12], "status line ")
    same({"a": ["1"], "b": ["2"]}, json.loads(unframed(received)), "fields ")


def unframed(received):
    """The body of one raw answer, chunked or not."""
    head, body = received.split(b"\r\n\r\n", 1)
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    whole = b""
    while True:
        size, body = body.split(b"\r\n", 1)
        count = int(size.split(b";")[0], 16)
        if count == 0:
            return whole
        whole, body = whole + body[:count], body[count + 2 :]


def multipart(content):
    boundary = "----------boundary-of-the-check"
    body = (
        f"--{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nwith a note\r\n"
        f"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"some file.bin\"\r\n"
        f"Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    body += content + f"\r\n--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def upload(server, size):
    content = noise(size)
    body, headers = multipart(content)
    expected = {"name": "some file.bin", "size": size, "sha256": digest(content), "note": "with a note"}
    same(expected, server.ask("POST", "/upload", body, headers).json(), "")


@check()
def upload_small(server):
    upload(server, 1000)


@check()
def upload_3_megabytes(server):
    upload(server, 3_000_000)


@check()
def post_empty(server):
    same({"size": 0, "sha256": digest(b"")}, server.ask("POST", "/echo", b"").json())


@check()
def post_all_byte_values(server):
    content = noise(100_000)
    same({"size": 100_000, "sha256": digest(content)}, server.ask("POST", "/echo", content).json())


@check()
def post_chunked(server):
    content = noise(70_000)
    cuts = [0, 1, 2, 17, 4096, 20_000, 20_001, 70_000]
    pieces = (content[a:b] for a, b in zip(cuts, cuts[1:]))
    answer = server.ask("POST", "/echo", pieces, {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    same({"size": 70_000, "sha256": digest(content)}, answer.json())


@check()
def post_chunked_form(server):
    headers = {**FORM, "Transfer-Encoding": "chunked"}
    answer = server.ask("POST", "/form", iter([b"a=1&", b"b=", b"2"]), headers, encode_chunked=True)
    same({"a": ["1"], "b": ["2"]}, answer.json(), "fields ")


@check()
def post_chunked_upload(server):
    content = noise(250_000)
    body, headers = multipart(content)
    pieces = (body[at : at + 9000] for at in range(0, len(body), 9000))
    answer = server.ask("POST", "/upload", pieces, {**headers, "Transfer-Encoding": "chunked"}, encode_chunked=True)
    same({"name": "some file.bin", "size": 250_000, "sha256": digest(content), "note": "with a note"}, answer.json())


@check()
def expect_100_continue(server):
    connection = socket.create_connection((server.host, server.port), timeout=SECONDS_MAX)
    with connection as sock, sock.makefile("rb") as reader:
        head = b"POST /echo HTTP/1.1\r\n" + server.host_line() + b"Connection: close\r\nContent-Length: 5\r\n"
        sock.sendall(head + b"Expect: 100-continue\r\n\r\n")
        same(b"HTTP/1.1 100 ", reader.readline()[:13], "interim status line ")
        while reader.readline() not in (b"\r\n", b""):
            pass
        sock.sendall(b"hello")
        received = reader.read()
    same(b"HTTP/1.1 200", received[:12], "status line ")
    same({"size": 5, "sha256": digest(b"hello")}, json.loads(unframed(received)))


@check()
def cookie_set(server):
    cookies = server.get("/cookie/set").expect(200).headers.get_all("Set-Cookie", [])
    same(["count=2", "flavour=oat"], sorted(cookie.split(";")[0] for cookie in cookies), "Set-Cookie headers ")


@check()
def cookie_get(server):
    same({"flavour": "oat", "count": "2"}, server.get("/cookie/get", Cookie="flavour=oat; count=2").json(), "cookies ")


@check()
def cookie_get_from_two_headers(server):
    head = b"GET /cookie/get HTTP/1.1\r\n" + server.host_line() + b"Connection: close\r\n"
    received = server.raw(head + b"Cookie: flavour=oat\r\nCookie: count=2\r\n\r\n")
    same({"flavour": "oat", "count": "2"}, json.loads(unframed(received)), "cookies ")


@check()
def stream(server):
    answer = server.get("/stream").expect(200, STREAM)
    same("chunked", answer.headers.get("Transfer-Encoding", ""), "Transfer-Encoding ")


@check()
def stream_to_http_1_0(server):
    received = server.raw(b"GET /stream HTTP/1.0\r\n\r\n")
    head, body = received.split(b"\r\n\r\n", 1)
    same(None, re.search(rb"(?i)transfer-encoding", head), "no Transfer-Encoding: ")
    same(STREAM, body, "body ")


@check()
def error_page(server):
    server.get("/error").expect(500)


@check()
def next_request_after_an_error(server):
    server.get("/error").expect(500)
    server.get("/").expect(200, b"Hello, world!")


@check()
def redirect(server):
    answer = server.get("/redirect").expect(302)
    location = urlsplit(answer.headers.get("Location", ""))
    same("/", location.path, "path of Location ")
    # Bottle makes it absolute, from Host or SERVER_NAME and SERVER_PORT.
    if location.netloc:
        same(f"{server.host}:{server.port}", location.netloc, "host of Location ")


@check()
def unicode_path(server):
    for text in ("é", "日本語", "a b+c"):
        server.get("/unicode/" + quote(text)).expect(200, text.encode())


@check()
def unicode_path_unquoted(server):
    head = "GET /unicode/é HTTP/1.1\r\n".encode() + server.host_line() + b"Connection: close\r\n\r\n"
    received = server.raw(head)
    # RFC 9112 wants it percent-encoded; a server may serve it or refuse it, but not fail.
    status = received[9:12]
    if status == b"200":
        same("é".encode(), unframed(received), "body ")
    elif status != b"400":
        raise Differs(f"expected status 200 or 400 got {short(received[:40])}")


@check()
def head(server):
    whole = server.get("/head").expect(200, b"a page to ask the head of")
    answer = server.ask("HEAD", "/head").expect(200, b"")
    same(whole.headers.get("Content-Length"), answer.headers.get("Content-Length"), "Content-Length ")


@check()
def head_sends_no_body(server):
    received = server.raw(b"HEAD /head HTTP/1.1\r\n" + server.host_line() + b"Connection: close\r\n\r\n")
    same(b"", received.split(b"\r\n\r\n", 1)[1], "bytes after the head ")


@check()
def large(server):
    answer = server.get("/large").expect(200)
    same([len(LARGE), digest(LARGE)], [len(answer.body), digest(answer.body)], "size and sha256 ")


@check()
def large_to_a_slow_reader(server):
    with socket.create_connection((server.host, server.port), timeout=SECONDS_MAX) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /large HTTP/1.1\r\n" + server.host_line() + b"Connection: close\r\n\r\n")
        received = bytearray()
        while True:
            piece = sock.recv(1500)
            if not piece:
                break
            received += piece
    same(digest(LARGE), digest(unframed(bytes(received))), "sha256 ")


@check()
def keep_alive(server):
    connection = server.connection()
    try:
        connection.connect()
        first = connection.sock
        for target, body in (("/", b"Hello, world!"), ("/stream", STREAM), ("/large", LARGE), ("/", b"Hello, world!")):
            connection.request("GET", target)
            Answer(connection.getresponse()).expect(200, body)
            # http.client forgets the socket when the server closes, and would silently connect again.
            same(True, connection.sock is first, f"connection kept after {target}: ")
        connection.request("POST", "/echo", b"hello")
        same(5, Answer(connection.getresponse()).json()["size"], "size ")
    finally:
        connection.close()


@check()
def pipelined(server):
    one = b"GET /users/%d HTTP/1.1\r\n" + server.host_line()
    sent = b"".join(one % n + b"\r\n" for n in range(9)) + one % 9 + b"Connection: close\r\n\r\n"
    received = server.raw(sent)
    same([b"%d" % n for n in range(10)], re.findall(rb"Hello, (\d)!", received), "answers in order ")


@check("validated")
def write_callable(server):
    server.get("/write").expect(200, b"written, returned")


@check("validated")
def client_that_leaves_a_stream(server):
    with socket.create_connection((server.host, server.port), timeout=SECONDS_MAX) as sock:
        sock.sendall(b"GET /stream HTTP/1.1\r\n" + server.host_line() + b"\r\n")
        sock.recv(1)
    # What it must do, close() once, is seen by the next check.
    server.get("/").expect(200)


@check("validated")
def nothing_for_the_validator_to_report(server):
    deadline = time.monotonic() + 2
    found = server.get("/problems").json()
    # A server may send the end before it calls close().
    while found and time.monotonic() < deadline:
        time.sleep(0.02)
        found = server.get("/problems").json()
    same([], found, "violations ")


def run(server, kind):
    """Runs the checks of a kind, prints their lines; the number that failed and of all."""
    failed = total = 0
    for name, kinds, function in checks:
        if kind not in kinds:
            continue
        total += 1
        try:
            function(server)
            print(f"ok {name}")
        except Differs as difference:
            failed += 1
            print(f"FAILED {name}: {difference}")
        except Exception as problem:  # Any trouble with the connection or the answer's form fails this check alone.
            failed += 1
            print(f"FAILED {name}: expected an answer got {type(problem).__name__}: {problem}")
        sys.stdout.flush()
    return failed, total


def main(arguments):
    if len(arguments) != 3 or not arguments[1].isdigit() or arguments[2] not in KINDS:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    host, port, kind = arguments
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_MAX).close()
    except OSError as problem:
        print(f"FAILED connect: expected a server at {host}:{port} got {problem}")
        print(f"{kind}: nothing checked")
        return 1
    failed, total = run(Server(host, int(port)), kind)
    print(f"{kind}: {total - failed} of {total} checks hold" + (f", {failed} failed" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
