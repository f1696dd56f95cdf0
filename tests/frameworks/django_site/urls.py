"""The admin, a page that lists the books, uploads, and static files where no middleware serves them."""

from django.conf import settings
from django.contrib import admin
from django.http import FileResponse, JsonResponse
from django.urls import path
from django.views.static import serve

from django_site.shelf.models import Book


def books(request):
    return JsonResponse({book.title: book.pages for book in Book.objects.order_by("title")})


def cover(request, name):
    return FileResponse(open(settings.MEDIA_ROOT / "covers" / name, "rb"))


urlpatterns = [
    path("admin/", admin.site.urls),
    path("books", books),
    path("media/covers/<str:name>", cover),
]
if not settings.WHITENOISE:
    urlpatterns.append(path("static/<path:path>", serve, {"document_root": settings.STATIC_ROOT}))
