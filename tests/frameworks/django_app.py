"""The common routes of this folder, written with Django in one file. README.md lists them."""

import hashlib
import pathlib

import parts
from django.conf import settings

settings.configure(
    DEBUG=False,
    SECRET_KEY="only for these tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        # Sets Content-Length on whole answers.
        "django.middleware.common.CommonMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    USE_I18N=False,
)

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import (  # noqa: E402
    FileResponse,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path  # noqa: E402
from django.views.decorators.http import require_POST, require_safe  # noqa: E402
from django.views.static import serve  # noqa: E402

STATIC = pathlib.Path(__file__).with_name("static")


def text(body):
    return HttpResponse(body, content_type="text/plain; charset=utf-8")


@require_safe
def index(request):
    return text("Hello, world!")


@require_safe
def user(request, name):
    return text(f"{request.GET.get('greeting', 'Hello')}, {name}!")


@require_safe
def query(request):
    return JsonResponse(dict(request.GET.lists()))


def method(request):
    return text(request.method)


@require_POST
def form(request):
    return JsonResponse(dict(request.POST.lists()))


@require_POST
def upload(request):
    sent = request.FILES["file"]
    digest = hashlib.sha256()
    for piece in sent.chunks():
        digest.update(piece)
    return JsonResponse(
        {"name": sent.name, "size": sent.size, "sha256": digest.hexdigest(), "note": request.POST.get("note")}
    )


@require_POST
def echo(request):
    return JsonResponse({"size": len(request.body), "sha256": hashlib.sha256(request.body).hexdigest()})


@require_safe
def cookie_set(request):
    answer = text("set")
    answer.set_cookie("flavour", "oat")
    answer.set_cookie("count", "2", httponly=True)
    return answer


@require_safe
def cookie_get(request):
    return JsonResponse(request.COOKIES)


@require_safe
def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


def streamed(pieces):
    return StreamingHttpResponse(pieces, content_type="application/octet-stream")


@require_safe
def stream(request):
    return streamed(parts.stream())


@require_safe
def drip(request):
    return streamed(parts.drip())


@require_safe
def drip_go(request):
    parts.go_on.set()
    return text("gone on")


@require_safe
def endless(request):
    return streamed(parts.endless())


@require_safe
def endless_closed(request):
    return JsonResponse({"closed": parts.was_closed()})


@require_safe
def meet(request):
    return text(parts.meet())


@require_safe
def error(request):
    raise RuntimeError("raised on purpose by /error")


@require_safe
def error_late(request):
    def broken():
        yield b"begun\n"
        raise RuntimeError("raised on purpose by /error/late")

    return streamed(broken())


@require_safe
def elsewhere(request):
    return HttpResponseRedirect("/")


@require_safe
def empty(request):
    return HttpResponse(status=204)


@require_safe
def unicode_path(request, text_in_path):
    return text(text_in_path)


@require_safe
def head(request):
    # Django hands the body over for HEAD too: leaving it out is the server's part.
    return text("a page to ask the head of")


@require_safe
def large(request):
    return HttpResponse(parts.LARGE, content_type="application/octet-stream")


@require_safe
def huge(request):
    return streamed(parts.huge())


@require_safe
def file(request):
    return FileResponse(open(parts.FILE.name, "rb"), content_type="application/octet-stream")


urlpatterns = [
    path("", index),
    path("users/<str:name>", user),
    path("query", query),
    path("method", method),
    path("form", form),
    path("upload", upload),
    path("echo", echo),
    path("cookie/set", cookie_set),
    path("cookie/get", cookie_get),
    path("session", visits),
    path("stream", stream),
    path("drip", drip),
    path("drip/go", drip_go),
    path("endless", endless),
    path("endless/closed", endless_closed),
    path("meet", meet),
    path("error", error),
    path("error/late", error_late),
    path("redirect", elsewhere),
    path("empty", empty),
    path("unicode/<str:text_in_path>", unicode_path),
    path("head", head),
    path("large", large),
    path("huge", huge),
    path("file", file),
    path("static/<path:path>", serve, {"document_root": STATIC}),
]

application = get_wsgi_application()
