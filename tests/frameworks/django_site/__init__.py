"""A site as `django-admin startproject` makes them, with the admin, a database, uploads and static files."""
