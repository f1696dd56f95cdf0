"""The table of books, as `makemigrations` writes it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Book",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=100, unique=True)),
                ("pages", models.PositiveIntegerField()),
                ("cover", models.FileField(blank=True, upload_to="covers")),
            ],
        ),
    ]
