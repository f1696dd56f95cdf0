"""WhiteNoise before an application without static files of its own."""

import pathlib

from whitenoise import WhiteNoise


def nothing(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"no such page"]


application = WhiteNoise(nothing, root=pathlib.Path(__file__).with_name("static"), prefix="static/")
