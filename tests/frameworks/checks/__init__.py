"""The checks, one file a topic. Importing this package registers them all."""

from checks import admin, answers, bodies, connections, files, lint, requests, sessions, whitenoise  # noqa: F401
