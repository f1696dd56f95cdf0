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


made = {}
paths = {"/" + page.__name__: page for page in (seed, hello, echo, big, stream, block, flask)}


def app(environ, start_response):
    return paths.get(environ["PATH_INFO"], hello)(environ, start_response)
