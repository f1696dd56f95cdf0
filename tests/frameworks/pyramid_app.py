"""The common routes of this folder, written with Pyramid. README.md lists them."""

import hashlib
import pathlib

import parts
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound, HTTPNoContent
from pyramid.response import FileResponse, Response
from pyramid.session import SignedCookieSessionFactory

STATIC = pathlib.Path(__file__).with_name("static")
config = Configurator(session_factory=SignedCookieSessionFactory("only for these tests"))


def page(path, method="GET", **more):
    """Registers a view at `path`."""

    def register(view):
        config.add_route(view.__name__, path)
        # GET is HEAD as well, says Pyramid.
        config.add_view(view, route_name=view.__name__, request_method=method, **more)
        return view

    return register


def text(body):
    return Response(body, content_type="text/plain", charset="UTF-8")


def streamed(pieces):
    return Response(app_iter=pieces, content_type="application/octet-stream")


@page("/")
def index(request):
    return text("Hello, world!")


@page("/users/{name}")
def user(request):
    return text(f"{request.GET.get('greeting', 'Hello')}, {request.matchdict['name']}!")


def fields_of(values):
    return {name: values.getall(name) for name in values}


@page("/query", renderer="json")
def query(request):
    return fields_of(request.GET)


@page("/method", method=("GET", "POST", "PUT", "PATCH", "DELETE"))
def method(request):
    return text(request.method)


@page("/form", "POST", renderer="json")
def form(request):
    return fields_of(request.POST)


@page("/upload", "POST", renderer="json")
def upload(request):
    sent = request.POST["file"]
    content = sent.file.read()
    digest = hashlib.sha256(content).hexdigest()
    return {"name": sent.filename, "size": len(content), "sha256": digest, "note": request.POST.get("note")}


@page("/echo", "POST", renderer="json")
def echo(request):
    return {"size": len(request.body), "sha256": hashlib.sha256(request.body).hexdigest()}


@page("/cookie/set")
def cookie_set(request):
    answer = text("set")
    answer.set_cookie("flavour", "oat")
    answer.set_cookie("count", "2", httponly=True)
    return answer


@page("/cookie/get", renderer="json")
def cookie_get(request):
    return dict(request.cookies)


@page("/session", renderer="json")
def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return {"visits": request.session["visits"]}


@page("/stream")
def stream(request):
    return streamed(parts.stream())


@page("/drip")
def drip(request):
    return streamed(parts.drip())


@page("/drip/go")
def drip_go(request):
    parts.go_on.set()
    return text("gone on")


@page("/endless")
def endless(request):
    return streamed(parts.endless())


@page("/endless/closed", renderer="json")
def endless_closed(request):
    return {"closed": parts.was_closed()}


@page("/meet")
def meet(request):
    return text(parts.meet())


@page("/error")
def error(request):
    raise RuntimeError("raised on purpose by /error")


@page("/error/late")
def error_late(request):
    def broken():
        yield b"begun\n"
        raise RuntimeError("raised on purpose by /error/late")

    return streamed(broken())


@page("/redirect")
def elsewhere(request):
    return HTTPFound("/")


@page("/empty")
def empty(request):
    return HTTPNoContent()


@page("/unicode/{text}")
def unicode_path(request):
    return text(request.matchdict["text"])


@page("/head")
def head(request):
    return text("a page to ask the head of")


@page("/large")
def large(request):
    return Response(parts.LARGE, content_type="application/octet-stream")


@page("/huge")
def huge(request):
    return streamed(parts.huge())


@page("/file")
def file(request):
    return FileResponse(parts.FILE.name, request=request, content_type="application/octet-stream")


config.add_static_view("static", str(STATIC))
application = config.make_wsgi_app()
