"""The common routes of this folder, written with Flask. README.md lists them."""

import hashlib

from flask import Flask, Response, jsonify, make_response, redirect, request

application = Flask(__name__)


@application.get("/")
def index():
    return Response("Hello, world!", mimetype="text/plain")


@application.get("/users/<name>")
def user(name):
    greeting = request.args.get("greeting", "Hello")
    return Response(f"{greeting}, {name}!", mimetype="text/plain")


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


@application.get("/stream")
def stream():
    return Response((f"chunk {n}\n" for n in range(50)), mimetype="text/plain")


@application.get("/error")
def error():
    raise RuntimeError("raised on purpose by /error")


@application.get("/redirect")
def elsewhere():
    return redirect("/")


@application.get("/unicode/<text>")
def unicode_path(text):
    return Response(text, mimetype="text/plain")


@application.get("/head")
def head():
    return Response("a page to ask the head of", mimetype="text/plain")


@application.get("/large")
def large():
    return Response(b"0123456789abcde\n" * 18750, mimetype="application/octet-stream")
