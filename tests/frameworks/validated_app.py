"""The common routes of this folder without a framework, inside wsgiref.validate.

The validator raises at whatever the server does against PEP 3333; recorder.py keeps what it finds.
"""

import hashlib
import json
import warnings
from http.cookies import SimpleCookie
from urllib.parse import parse_qs
from wsgiref.validate import WSGIWarning, validator

import parts
from recorder import recorded

# A warning of the validator counts like an error.
warnings.simplefilter("error", WSGIWarning)


def body_of(environ):
    left = int(environ.get("CONTENT_LENGTH") or 0)
    pieces = []
    while left:
        piece = environ["wsgi.input"].read(min(left, 65536))
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def answer(start_response, body, kind="text/plain; charset=utf-8", status="200 OK", more=()):
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *more])
    return [body]


def answer_json(start_response, value):
    return answer(start_response, json.dumps(value).encode(), "application/json")


def summary(body):
    return {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def parts_of(environ):
    """The parts of a multipart body, each as (its Content-Disposition parameters, its bytes)."""
    boundary = environ["CONTENT_TYPE"].split("boundary=", 1)[1].strip('"')
    for part in body_of(environ).split(b"--" + boundary.encode())[1:-1]:
        head, content = part[2:-2].split(b"\r\n\r\n", 1)
        parameters = {}
        for line in head.decode().split("\r\n"):
            if line.lower().startswith("content-disposition:"):
                pairs = (item.strip().split("=", 1) for item in line.split(";")[1:])
                parameters = {name: value.strip('"') for name, value in pairs}
        yield parameters, content


def upload(environ, start_response):
    fields, result = {}, {}
    for parameters, content in parts_of(environ):
        if "filename" in parameters:
            result = {"name": parameters["filename"], **summary(content)}
        else:
            fields[parameters["name"]] = content.decode()
    return answer_json(start_response, {**result, "note": fields.get("note")})


class Chunks:
    """An iterable with close(), as PEP 3333 allows; counts how often it is closed."""

    opened = closed = 0

    def __init__(self):
        Chunks.opened += 1
        self.left = iter(range(50))

    def __iter__(self):
        return self

    def __next__(self):
        return b"chunk %d\n" % next(self.left)

    def close(self):
        Chunks.closed += 1


def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Chunks()


def written(environ, start_response):
    """The imperative way: half of the body through write(), the rest returned."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written, ")
    return [b"returned"]


def cookies(environ, start_response):
    jar = SimpleCookie(environ.get("HTTP_COOKIE", ""))
    return answer_json(start_response, {name: morsel.value for name, morsel in jar.items()})


def streamed(start_response, pieces):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return pieces


def broken():
    yield b"begun\n"
    raise RuntimeError("raised on purpose by /error/late")


def file(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](open(parts.FILE.name, "rb"))


def drip_go(start_response):
    parts.go_on.set()
    return answer(start_response, b"gone on")


def plain(environ, start_response):
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    if path == "/":
        return answer(start_response, b"Hello, world!")
    if path.startswith("/users/"):
        greeting = parse_qs(environ["QUERY_STRING"]).get("greeting", ["Hello"])[0]
        return answer(start_response, f"{greeting}, {path[7:]}!".encode())
    if path.startswith("/unicode/"):
        return answer(start_response, path[9:].encode())
    if path == "/query":
        return answer_json(start_response, parse_qs(environ["QUERY_STRING"], keep_blank_values=True))
    if path == "/method":
        return answer(start_response, environ["REQUEST_METHOD"].encode())
    if path == "/form":
        return answer_json(start_response, parse_qs(body_of(environ).decode(), keep_blank_values=True))
    if path == "/upload":
        return upload(environ, start_response)
    if path == "/echo":
        return answer_json(start_response, summary(body_of(environ)))
    if path == "/cookie/set":
        more = [("Set-Cookie", "flavour=oat; Path=/"), ("Set-Cookie", "count=2; HttpOnly; Path=/")]
        return answer(start_response, b"set", more=more)
    if path == "/cookie/get":
        return cookies(environ, start_response)
    if path == "/stream":
        return stream(environ, start_response)
    if path == "/drip":
        return streamed(start_response, parts.drip())
    if path == "/drip/go":
        return drip_go(start_response)
    if path == "/endless":
        return streamed(start_response, parts.endless())
    if path == "/endless/closed":
        return answer_json(start_response, {"closed": parts.was_closed()})
    if path == "/meet":
        return answer(start_response, parts.meet().encode())
    if path == "/write":
        return written(environ, start_response)
    if path == "/error":
        raise RuntimeError("raised on purpose by /error")
    if path == "/error/late":
        return streamed(start_response, broken())
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path == "/redirect":
        return answer(start_response, b"", status="302 Found", more=[("Location", "/")])
    if path == "/head":
        body = b"a page to ask the head of"
        answered = answer(start_response, body)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else answered
    if path == "/large":
        return answer(start_response, parts.LARGE, "application/octet-stream")
    if path == "/huge":
        return streamed(start_response, parts.huge())
    if path == "/file":
        return file(environ, start_response)
    return answer(start_response, b"no such page", status="404 Not Found")


def unclosed():
    missing = Chunks.opened - Chunks.closed
    return [f"{missing} streams opened and not closed"] if missing else []


application = recorded(validator(plain), (AssertionError, WSGIWarning), unclosed)
