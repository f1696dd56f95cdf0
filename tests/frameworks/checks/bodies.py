"""Bodies of requests: forms, uploads, chunks, 100-continue."""

import json

from checks.client import check, digest, multipart, noise, same, unframed

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@check("pages")
def form_urlencoded(server):
    body = "a=1&a=2&name=Zo%C3%AB+%26+co&equals=x%3Dy"
    expected = {"a": ["1", "2"], "name": ["Zoë & co"], "equals": ["x=y"]}
    same(expected, server.ask("POST", "/form", body, FORM).json(), "fields ")


@check("pages")
def form_in_two_pieces(server):
    head = b"POST /form HTTP/1.1\r\n" + server.host_line() + b"Connection: close\r\n"
    head += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\n"
    received = server.raw(head, b"a=1", b"&b=2")
    same(b"HTTP/1.1 200", received[:12], "status line ")
    same({"a": ["1"], "b": ["2"]}, json.loads(unframed(received)), "fields ")


def upload(server, size, chunk=None):
    content = noise(size)
    body, headers = multipart({"note": "with a note"}, "file", "some file.bin", content)
    if chunk:
        body = iter([body[at : at + chunk] for at in range(0, len(body), chunk)])
        headers["Transfer-Encoding"] = "chunked"
    answer = server.ask("POST", "/upload", body, headers, encode_chunked=bool(chunk))
    same({"name": "some file.bin", "size": size, "sha256": digest(content), "note": "with a note"}, answer.json())


@check("pages")
def upload_small(server):
    upload(server, 1000)


@check("pages")
def upload_empty_file(server):
    upload(server, 0)


@check("pages")
def upload_6_megabytes(server):
    upload(server, 6_000_000)


@check("pages")
def upload_chunked(server):
    upload(server, 1_250_000, chunk=9000)


@check("pages")
def post_empty(server):
    same({"size": 0, "sha256": digest(b"")}, server.ask("POST", "/echo", b"").json())


@check("pages")
def post_all_byte_values(server):
    content = noise(100_000)
    same({"size": 100_000, "sha256": digest(content)}, server.ask("POST", "/echo", content).json())


@check("pages")
def post_chunked(server):
    content = noise(70_000)
    cuts = [0, 1, 2, 17, 4096, 20_000, 20_001, 70_000]
    pieces = (content[a:b] for a, b in zip(cuts, cuts[1:]))
    answer = server.ask("POST", "/echo", pieces, {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    same({"size": 70_000, "sha256": digest(content)}, answer.json())


@check("pages")
def post_chunked_form(server):
    headers = {**FORM, "Transfer-Encoding": "chunked"}
    answer = server.ask("POST", "/form", iter([b"a=1&", b"b=", b"2"]), headers, encode_chunked=True)
    same({"a": ["1"], "b": ["2"]}, answer.json(), "fields ")


@check("pages")
def expect_100_continue(server):
    with server.socket() as sock, sock.makefile("rb") as reader:
        head = b"POST /echo HTTP/1.1\r\n" + server.host_line() + b"Connection: close\r\nContent-Length: 5\r\n"
        sock.sendall(head + b"Expect: 100-continue\r\n\r\n")
        same(b"HTTP/1.1 100 ", reader.readline()[:13], "interim status line ")
        while reader.readline() not in (b"\r\n", b""):
            pass
        sock.sendall(b"hello")
        received = reader.read()
    same(b"HTTP/1.1 200", received[:12], "status line ")
    same({"size": 5, "sha256": digest(b"hello")}, json.loads(unframed(received)))


@check("pages")
def body_that_nobody_reads(server):
    """A form for a page that takes none: the next request on the connection is not read from what is left of it."""
    connection = server.connection()
    try:
        connection.request("POST", "/no/such/page", noise(300_000))
        same(404, connection.getresponse().status, "status ")
    finally:
        connection.close()
    server.get("/").expect(200, b"Hello, world!")
