"""The common routes of this folder, written with Django in one file. README.md lists them."""

import hashlib

from django.conf import settings

settings.configure(
    DEBUG=False,
    SECRET_KEY="only for these tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    # Sets Content-Length on whole answers.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.http import require_POST, require_safe  # noqa: E402


def text(body):
    return HttpResponse(body, content_type="text/plain; charset=utf-8")


@require_safe
def index(request):
    return text("Hello, world!")


@require_safe
def user(request, name):
    return text(f"{request.GET.get('greeting', 'Hello')}, {name}!")


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
def stream(request):
    return StreamingHttpResponse((f"chunk {n}\n" for n in range(50)), content_type="text/plain")


@require_safe
def error(request):
    raise RuntimeError("raised on purpose by /error")


@require_safe
def elsewhere(request):
    return HttpResponseRedirect("/")


@require_safe
def unicode_path(request, text_in_path):
    return text(text_in_path)


@require_safe
def head(request):
    # Django hands the body over for HEAD too: leaving it out is the server's part.
    return text("a page to ask the head of")


@require_safe
def large(request):
    return HttpResponse(b"0123456789abcde\n" * 18750, content_type="application/octet-stream")


urlpatterns = [
    path("", index),
    path("users/<str:name>", user),
    path("form", form),
    path("upload", upload),
    path("echo", echo),
    path("cookie/set", cookie_set),
    path("cookie/get", cookie_get),
    path("stream", stream),
    path("error", error),
    path("redirect", elsewhere),
    path("unicode/<str:text_in_path>", unicode_path),
    path("head", head),
    path("large", large),
]

application = get_wsgi_application()
