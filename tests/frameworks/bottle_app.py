"""The common routes of this folder, written with Bottle. README.md lists them."""

import hashlib

from bottle import Bottle, redirect, request, response

application = Bottle()


@application.get("/")
def index():
    response.content_type = "text/plain"
    return "Hello, world!"


@application.get("/users/<name>")
def user(name):
    response.content_type = "text/plain; charset=UTF-8"
    return f"{request.query.getunicode('greeting', 'Hello')}, {name}!"


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


@application.get("/stream")
def stream():
    response.content_type = "text/plain"
    for n in range(50):
        yield f"chunk {n}\n"


@application.get("/error")
def error():
    raise RuntimeError("raised on purpose by /error")


@application.get("/redirect")
def elsewhere():
    redirect("/", 302)


@application.get("/unicode/<text>")
def unicode_path(text):
    response.content_type = "text/plain; charset=UTF-8"
    return text


@application.get("/head")
def head():
    response.content_type = "text/plain"
    return "a page to ask the head of"


@application.get("/large")
def large():
    response.content_type = "application/octet-stream"
    return b"0123456789abcde\n" * 18750
