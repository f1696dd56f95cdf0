"""How the admin shows it."""

from django.contrib import admin

from django_site.shelf.models import Book


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):
    """Books: a list with search."""

    list_display = ("title", "pages")
    search_fields = ("title",)
