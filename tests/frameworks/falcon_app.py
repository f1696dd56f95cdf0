"""The common routes of this folder, written with Falcon. README.md lists them."""

import hashlib
import os
import pathlib

import falcon
import parts

STATIC = pathlib.Path(__file__).with_name("static")
application = falcon.App()
# A form field without a value is a field.
application.req_options.keep_blank_qs_values = True


def page(path, *methods):
    """Makes a function a resource that answers `methods`, or GET and HEAD: Falcon derives neither from the other."""

    def register(function):
        class Page:
            pass

        for method in methods or ("GET", "HEAD"):
            setattr(Page, f"on_{method.lower()}", staticmethod(function))
        application.add_route(path, Page())
        return function

    return register


def text(resp, body):
    resp.content_type = falcon.MEDIA_TEXT
    resp.text = body


def streamed(resp, pieces):
    resp.content_type = "application/octet-stream"
    resp.stream = pieces


@page("/")
def index(req, resp):
    text(resp, "Hello, world!")


@page("/users/{name}")
def user(req, resp, name):
    text(resp, f"{req.get_param('greeting', default='Hello')}, {name}!")


def fields_of(values):
    return {name: value if isinstance(value, list) else [value] for name, value in values.items()}


@page("/query")
def query(req, resp):
    resp.media = fields_of(req.params)


@page("/method", "GET", "POST", "PUT", "PATCH", "DELETE")
def method(req, resp):
    text(resp, req.method)


@page("/form", "POST")
def form(req, resp):
    resp.media = fields_of(req.get_media())


@page("/upload", "POST")
def upload(req, resp):
    answer = {}
    for part in req.get_media():
        if part.filename:
            digest, size = hashlib.sha256(), 0
            while piece := part.stream.read(65536):
                digest.update(piece)
                size += len(piece)
            answer.update(name=part.filename, size=size, sha256=digest.hexdigest())
        else:
            answer[part.name] = part.get_text()
    resp.media = answer


@page("/echo", "POST")
def echo(req, resp):
    body = req.bounded_stream.read()
    resp.media = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@page("/cookie/set")
def cookie_set(req, resp):
    resp.set_cookie("flavour", "oat")
    resp.set_cookie("count", "2", http_only=True)
    text(resp, "set")


@page("/cookie/get")
def cookie_get(req, resp):
    resp.media = req.cookies


@page("/stream")
def stream(req, resp):
    streamed(resp, parts.stream())


@page("/drip")
def drip(req, resp):
    streamed(resp, parts.drip())


@page("/drip/go")
def drip_go(req, resp):
    parts.go_on.set()
    text(resp, "gone on")


@page("/endless")
def endless(req, resp):
    streamed(resp, parts.endless())


@page("/endless/closed")
def endless_closed(req, resp):
    resp.media = {"closed": parts.was_closed()}


@page("/meet")
def meet(req, resp):
    text(resp, parts.meet())


@page("/error")
def error(req, resp):
    raise RuntimeError("raised on purpose by /error")


@page("/error/late")
def error_late(req, resp):
    def broken():
        yield b"begun\n"
        raise RuntimeError("raised on purpose by /error/late")

    streamed(resp, broken())


@page("/redirect")
def elsewhere(req, resp):
    raise falcon.HTTPFound("/")


@page("/empty")
def empty(req, resp):
    resp.status = falcon.HTTP_204


@page("/unicode/{text_in_path}")
def unicode_path(req, resp, text_in_path):
    text(resp, text_in_path)


@page("/head")
def head(req, resp):
    text(resp, "a page to ask the head of")


@page("/large")
def large(req, resp):
    resp.content_type = "application/octet-stream"
    resp.data = parts.LARGE


@page("/huge")
def huge(req, resp):
    streamed(resp, parts.huge())


@page("/file")
def file(req, resp):
    resp.content_type = "application/octet-stream"
    # Something to read from goes through wsgi.file_wrapper.
    resp.set_stream(open(parts.FILE.name, "rb"), os.path.getsize(parts.FILE.name))


application.add_static_route("/static", str(STATIC))
