"""The common routes of this folder without a framework, inside wsgiref.validate.

The validator raises at whatever the server does against PEP 3333. What it finds is kept, and
`/problems` answers it as a JSON list, so that a violation during iteration, in close() or at
garbage collection is seen too and not only one that turns into an error page.
"""

import gc
import hashlib
import json
import sys
import warnings
from http.cookies import SimpleCookie
from urllib.parse import parse_qs
from wsgiref.validate import WSGIWarning, validator

# A warning of the validator counts like an error.
warnings.simplefilter("error", WSGIWarning)

problems = []


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


def plain(environ, start_response):
    path = environ["PATH_INFO"].encode("latin-1").decode("utf-8")
    if path == "/":
        return answer(start_response, b"Hello, world!")
    if path.startswith("/users/"):
        greeting = parse_qs(environ["QUERY_STRING"]).get("greeting", ["Hello"])[0]
        return answer(start_response, f"{greeting}, {path[7:]}!".encode())
    if path.startswith("/unicode/"):
        return answer(start_response, path[9:].encode())
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
    if path == "/write":
        return written(environ, start_response)
    if path == "/error":
        raise RuntimeError("raised on purpose by /error")
    if path == "/redirect":
        return answer(start_response, b"", status="302 Found", more=[("Location", "/")])
    if path == "/head":
        body = b"a page to ask the head of"
        answered = answer(start_response, body)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else answered
    if path == "/large":
        return answer(start_response, b"0123456789abcde\n" * 18750, "application/octet-stream")
    return answer(start_response, b"no such page", status="404 Not Found")


validated = validator(plain)


class Recorded:
    """The validator's iterable, one call for one call; notes what it raises."""

    def __init__(self, iterable, path):
        self.iterable, self.path = iterable, path
        self.iterator = iter(iterable)

    def __iter__(self):
        return self

    def __next__(self):
        with Recording(self.path):
            return next(self.iterator)

    def close(self):
        with Recording(self.path):
            self.iterable.close()


class Recording:
    """Notes a violation that passes through, and lets it pass."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None and issubclass(kind, (AssertionError, WSGIWarning)):
            problems.append(f"{self.path}: {value or kind.__name__}")


def note_unraisable(what):
    # The validator complains about an iterator without close() in __del__, where nobody can catch it.
    problems.append(f"at garbage collection: {what.exc_value!r}")


sys.unraisablehook = note_unraisable


def application(environ, start_response):
    if environ["PATH_INFO"] == "/problems":
        gc.collect()
        found = list(problems)
        if Chunks.opened != Chunks.closed:
            found.append(f"{Chunks.opened} streams opened but {Chunks.closed} calls of close()")
        return answer_json(start_response, found)
    with Recording(environ["PATH_INFO"]):
        return Recorded(validated(environ, start_response), environ["PATH_INFO"])
