"""Every application of this folder inside WebTest's lint: `linted:flask` is that of flask_app.py.

The lint raises at whatever the server does against PEP 3333, and at whatever the application does; recorder.py keeps
what it finds.
"""

import importlib
import warnings

from recorder import recorded
from webtest import lint

#: Where the application is not in NAME_app.py.
MODULES = {"django_site": "django_site.wsgi"}

# What the lint warns of counts like an error, but for what frameworks do and servers do not.
warnings.simplefilter("error", lint.WSGIWarning)
warnings.filterwarnings("ignore", "Content-Type header found in a", lint.WSGIWarning)


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(name)
    module = importlib.import_module(MODULES.get(name, f"{name}_app"))
    return recorded(lint.middleware(module.application), (AssertionError, lint.WSGIWarning))
