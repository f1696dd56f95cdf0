"""The common routes of this folder, written with Bottle. README.md lists them."""

import hashlib
import pathlib

import parts
from bottle import HTTPResponse, Bottle, redirect, request, response, static_file

application = Bottle()
SECRET = "only for these tests"
STATIC = pathlib.Path(__file__).with_name("static")


def text(body):
    response.content_type = "text/plain; charset=UTF-8"
    return body


@application.get("/")
def index():
    response.content_type = "text/plain"
    return "Hello, world!"


@application.get("/users/<name>")
def user(name):
    return text(f"{request.query.getunicode('greeting', 'Hello')}, {name}!")


@application.get("/query")
def query():
    fields = request.query.decode()
    return {name: fields.getall(name) for name in fields}


@application.route("/method", method=["GET", "POST", "PUT", "PATCH", "DELETE"])
def method():
    return text(request.method)


@application.post("/form")
def form():
    fields = request.forms.decode()
    return {name: fields.getall(name) for name in fields}


@application.post("/upload")
def upload():
    sent = request.files.get("file")
    content = sent.file.read()
    return {
        "name": sent.raw_filename,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "note": request.forms.get("note"),
    }


@application.post("/echo")
def echo():
    body = request.body.read()
    return {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@application.get("/cookie/set")
def cookie_set():
    response.set_cookie("flavour", "oat", path="/")
    response.set_cookie("count", "2", path="/", httponly=True)
    return "set"


@application.get("/cookie/get")
def cookie_get():
    return dict(request.cookies)


@application.get("/session")
def visits():
    count = (request.get_cookie("visits", secret=SECRET) or 0) + 1
    response.set_cookie("visits", count, secret=SECRET, path="/")
    return {"visits": count}


@application.get("/stream")
def stream():
    return text(parts.stream())


@application.get("/drip")
def drip():
    return text(parts.drip())


@application.get("/drip/go")
def drip_go():
    parts.go_on.set()
    return text("gone on")


@application.get("/endless")
def endless():
    return text(parts.endless())


@application.get("/endless/closed")
def endless_closed():
    return {"closed": parts.was_closed()}


@application.get("/meet")
def meet():
    return text(parts.meet())


@application.get("/error")
def error():
    raise RuntimeError("raised on purpose by /error")


@application.get("/error/late")
def error_late():
    yield b"begun\n"
    raise RuntimeError("raised on purpose by /error/late")


@application.get("/redirect")
def elsewhere():
    redirect("/", 302)


@application.get("/empty")
def empty():
    return HTTPResponse(status=204)


@application.get("/unicode/<text_in_path>")
def unicode_path(text_in_path):
    return text(text_in_path)


@application.get("/head")
def head():
    return text("a page to ask the head of")


@application.get("/large")
def large():
    response.content_type = "application/octet-stream"
    return parts.LARGE


@application.get("/huge")
def huge():
    response.content_type = "application/octet-stream"
    return parts.huge()


@application.get("/file")
def file():
    whole = pathlib.Path(parts.FILE.name)
    return static_file(whole.name, root=whole.parent, mimetype="application/octet-stream")


@application.get("/static/<path:path>")
def static(path):
    return static_file(path, root=STATIC)
