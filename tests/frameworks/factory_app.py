"""An application from a factory, as gunicorn's users name it: `factory_app:create_app("flask")`."""

import importlib


def create_app(kind):
    return importlib.import_module(f"{kind}_app").application
