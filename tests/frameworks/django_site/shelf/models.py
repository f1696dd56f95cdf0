"""What the database holds."""

from django.core.exceptions import ValidationError
from django.db import models


class Book(models.Model):
    """A book, with a cover that was uploaded."""

    title = models.CharField(max_length=100, unique=True)
    pages = models.PositiveIntegerField()
    cover = models.FileField(upload_to="covers", blank=True)

    class Meta:
        app_label = "shelf"

    def __str__(self):
        return self.title

    def clean(self):
        if self.pages == 13:
            raise ValidationError("no book has thirteen pages")
