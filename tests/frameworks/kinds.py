"""The applications of this folder, and which topics of `checks` each is checked with.

What a framework does not have, or does its own way, is left out here: a topic or a check by name, with the reason.
"""

from typing import NamedTuple

COMMON = ("pages", "sessions", "static", "ranges")
NO_FRAMEWORK = "an application without a framework has none"


class Kind(NamedTuple):
    #: In this order; `checks` has one file or more for each.
    topics: tuple
    #: Topics, or names of checks, and why they are left out.
    without: dict = {}


KINDS = {
    "flask": Kind(COMMON),
    "django": Kind(COMMON, {"ranges": "Django's own view for static files knows none"}),
    "pyramid": Kind(COMMON),
    "falcon": Kind(COMMON, {"sessions": "Falcon has none of its own"}),
    "bottle": Kind(COMMON),
    "validated": Kind((*COMMON, "validator"), dict.fromkeys(("sessions", "static", "ranges"), NO_FRAMEWORK)),
    "whitenoise": Kind(("static", "ranges")),
    "behind_nginx": Kind(
        ("pages", "sessions"),
        {
            "date_and_server_headers": "they are nginx's",
            "stream_to_http_1_0": "nginx speaks HTTP/1.1 to the application and would do so in its name",
        },
    ),
    "django_site": Kind(("admin",)),
    "django_whitenoise": Kind(("admin", "whitenoise")),
}
