"""The applications that every server of the bench serves, one a path. Nothing here knows the server."""

import time

HELLO = b"Hello, world!"
BIG = b"x" * (1 << 20)
PIECE = b"y" * (16 << 10)


def seed(environ, start_response):
    """The WSGI tutorial's application: no Content-Length."""
    start_response("200 OK", [("Content-type", "text/plain")])
    return [HELLO]


def hello(environ, start_response):
    """The same with Content-Length."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [HELLO]


def echo(environ, start_response):
    """The request body, sent back."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    headers = [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def big(environ, start_response):
    """One MiB in one piece."""
    headers = [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(BIG)))]
    start_response("200 OK", headers)
    return [BIG]


def stream(environ, start_response):
    """One MiB in 64 pieces, no Content-Length."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return (PIECE for _ in range(64))


def length(environ, start_response):
    """The request body is read, its length sent back."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return of_length(str(len(body)).encode(), start_response)


def sized(environ, start_response):
    """/bytes/N: as many bytes as the path says, in one piece."""
    count = int(environ["PATH_INFO"].rsplit("/", 1)[1])
    if count not in sizes:
        sizes[count] = b"x" * count
    return of_length(sizes[count], start_response)


def pieces(environ, start_response):
    """/pieces/N: 64 KiB in as many pieces as the path says."""
    piece = b"x" * ((1 << 16) // int(environ["PATH_INFO"].rsplit("/", 1)[1]))
    of_length(b"x" * (1 << 16), start_response)
    return (piece for _ in range((1 << 16) // len(piece)))


def of_length(body, start_response):
    headers = [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def block(environ, start_response):
    """Waits 10 ms, as for a database."""
    time.sleep(0.010)
    return hello(environ, start_response)


def make_flask():
    from flask import Flask, jsonify

    made = Flask("bench")

    @made.get("/flask")
    def page():
        return jsonify(message="Hello, world!", n=1)

    return made


def flask(environ, start_response):
    """A JSON answer by Flask; 501 where Flask is not installed."""
    if "/flask" not in made:
        try:
            made["/flask"] = make_flask()
        except ImportError:
            start_response("501 Not Implemented", [("Content-Type", "text/plain")])
            return [b"flask is not installed"]
    return made["/flask"](environ, start_response)


made, sizes = {}, {}
paths = {"/" + page.__name__: page for page in (seed, hello, echo, big, stream, block, flask)}
# These have a number behind their path.
numbered = {"length": length, "bytes": sized, "pieces": pieces}


def app(environ, start_response):
    path = environ["PATH_INFO"]
    page = paths.get(path) or numbered.get(path.split("/")[1], hello)
    return page(environ, start_response)
