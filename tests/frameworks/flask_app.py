"""The common routes of this folder, written with Flask. README.md lists them."""

import hashlib

import parts
from flask import Flask, Response, jsonify, make_response, redirect, request, send_file, session

application = Flask(__name__)
application.secret_key = "only for these tests"


def text(body):
    return Response(body, mimetype="text/plain")


@application.get("/")
def index():
    return text("Hello, world!")


@application.get("/users/<name>")
def user(name):
    greeting = request.args.get("greeting", "Hello")
    return text(f"{greeting}, {name}!")


@application.get("/query")
def query():
    return jsonify(request.args.to_dict(flat=False))


@application.route("/method", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def method():
    return text(request.method)


@application.post("/form")
def form():
    return jsonify(request.form.to_dict(flat=False))


@application.post("/upload")
def upload():
    sent = request.files["file"]
    content = sent.read()
    return jsonify(
        name=sent.filename,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        note=request.form.get("note"),
    )


@application.post("/echo")
def echo():
    body = request.get_data()
    return jsonify(size=len(body), sha256=hashlib.sha256(body).hexdigest())


@application.get("/cookie/set")
def cookie_set():
    answer = make_response("set")
    answer.set_cookie("flavour", "oat")
    answer.set_cookie("count", "2", httponly=True)
    return answer


@application.get("/cookie/get")
def cookie_get():
    return jsonify(dict(request.cookies))


@application.get("/session")
def visits():
    session["visits"] = session.get("visits", 0) + 1
    return jsonify(visits=session["visits"])


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
    return jsonify(closed=parts.was_closed())


@application.get("/meet")
def meet():
    return text(parts.meet())


@application.get("/error")
def error():
    raise RuntimeError("raised on purpose by /error")


@application.get("/error/late")
def error_late():
    def broken():
        yield b"begun\n"
        raise RuntimeError("raised on purpose by /error/late")

    return text(broken())


@application.get("/redirect")
def elsewhere():
    return redirect("/")


@application.get("/empty")
def empty():
    return "", 204


@application.get("/unicode/<text_in_path>")
def unicode_path(text_in_path):
    return text(text_in_path)


@application.get("/head")
def head():
    return text("a page to ask the head of")


@application.get("/large")
def large():
    return Response(parts.LARGE, mimetype="application/octet-stream")


@application.get("/huge")
def huge():
    return Response(parts.huge(), mimetype="application/octet-stream")


@application.get("/file")
def file():
    return send_file(parts.FILE.name, mimetype="application/octet-stream")
