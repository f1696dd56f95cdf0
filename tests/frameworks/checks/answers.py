"""What becomes of the application's answers: header fields, streams, errors, answers without a body."""

import re
import socket
from urllib.parse import urlsplit

from checks.client import check, digest, same, unframed

LARGE = b"0123456789abcde\n" * 18750
STREAM = b"".join(b"chunk %d\n" % n for n in range(50))
HUGE = bytes(range(256)) * 256 * 384


@check("pages")
def date_and_server_headers(server):
    headers = server.get("/").headers
    same([1, 1], [len(headers.get_all("Date", [])), len(headers.get_all("Server", []))], "one Date, one Server: ")


@check("pages")
def cookie_set(server):
    cookies = server.get("/cookie/set").expect(200).headers.get_all("Set-Cookie", [])
    same(["count=2", "flavour=oat"], sorted(cookie.split(";")[0] for cookie in cookies), "Set-Cookie headers ")


@check("pages")
def stream(server):
    answer = server.get("/stream").expect(200, STREAM)
    same("chunked", answer.headers.get("Transfer-Encoding", ""), "Transfer-Encoding ")


@check("pages")
def stream_to_http_1_0(server):
    received = server.raw(b"GET /stream HTTP/1.0\r\n\r\n")
    head, body = received.split(b"\r\n\r\n", 1)
    same(None, re.search(rb"(?i)transfer-encoding", head), "no Transfer-Encoding: ")
    same(STREAM, body, "body ")


@check("pages")
def stream_is_sent_as_it_comes(server):
    connection = server.connection()
    try:
        connection.request("GET", "/drip")
        response = connection.getresponse()
        same(b"first\n", response.read(6), "first piece, before there is a second, ")
        server.get("/drip/go").expect(200)
        same(b"second\n", response.read(), "second piece ")
    finally:
        connection.close()


@check("pages")
def stream_is_closed_when_its_client_leaves(server):
    with server.socket() as sock:
        sock.sendall(server.head_of(b"/endless"))
        got = 0
        while got < 300_000:
            got += len(sock.recv(65536))
    same({"closed": True}, server.get("/endless/closed").json())


@check("pages")
def error_page(server):
    server.get("/error").expect(500)


@check("pages")
def next_request_after_an_error(server):
    server.get("/error").expect(500)
    server.get("/").expect(200, b"Hello, world!")


@check("pages")
def error_in_a_stream_cuts_it(server):
    received = server.raw(server.head_of(b"/error/late"))
    same(True, b"begun\n" in received, "the piece before the error: ")
    same(False, b"\r\n0\r\n" in received, "a last chunk: ")


@check("pages")
def redirect(server):
    answer = server.get("/redirect").expect(302)
    location = urlsplit(answer.headers.get("Location", ""))
    same("/", location.path, "path of Location ")
    # Some make it absolute, from Host or SERVER_NAME and SERVER_PORT.
    if location.netloc:
        expected = (server.scheme, f"{server.host}:{server.port}")
        same(expected, (location.scheme, location.netloc), "scheme and host of Location ")


@check("pages")
def no_content(server):
    received = server.raw(server.head_of(b"/empty"))
    head, body = received.split(b"\r\n\r\n", 1)
    same(b"HTTP/1.1 204", head[:12], "status line ")
    same(b"", body, "bytes after the head ")
    same(None, re.search(rb"(?i)\r\n(transfer-encoding|content-length)", head), "no framing: ")


@check("pages")
def head(server):
    whole = server.get("/head").expect(200, b"a page to ask the head of")
    answer = server.ask("HEAD", "/head").expect(200, b"")
    same(whole.headers.get("Content-Length"), answer.headers.get("Content-Length"), "Content-Length ")
    same(whole.headers.get("Content-Type"), answer.headers.get("Content-Type"), "Content-Type ")


@check("pages")
def head_sends_no_body(server):
    for target in (b"/head", b"/stream"):
        received = server.raw(b"HEAD %s HTTP/1.1\r\n" % target + server.host_line() + b"Connection: close\r\n\r\n")
        same([b"HTTP/1.1 200", b""], [received[:12], received.split(b"\r\n\r\n", 1)[1]], "status, bytes after the head ")


@check("pages")
def large(server):
    answer = server.get("/large").expect(200)
    same([len(LARGE), digest(LARGE)], [len(answer.body), digest(answer.body)], "size and sha256 ")


@check("pages")
def huge_24_megabytes(server):
    answer = server.get("/huge").expect(200)
    same([len(HUGE), digest(HUGE)], [len(answer.body), digest(answer.body)], "size and sha256 ")


@check("pages")
def large_to_a_slow_reader(server):
    with server.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        sock.sendall(server.head_of(b"/large"))
        received = bytearray()
        while piece := sock.recv(1500):
            received += piece
    same(digest(LARGE), digest(unframed(bytes(received))), "sha256 ")


@check("validator")
def write_callable(server):
    server.get("/write").expect(200, b"written, returned")
