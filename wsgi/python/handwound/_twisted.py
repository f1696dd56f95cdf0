"""Twisted's names for programs that handwound serves: `from twisted.web.wsgi import WSGIResource` works, with Twisted
installed and without.

Without it, a finder at the very end of Python's own gives the modules of `handwound` under Twisted's names. With it,
Twisted's modules are Twisted's, and only the reactor is ours, set the way that Twisted's own reactors set themselves.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Optional, Sequence

if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
else:
    # Bases that nobody looks at, from a module that brings in a third of the standard library.
    class Loader:
        pass

    class MetaPathFinder:
        pass


__all__ = ["install", "is_theirs", "preferred"]

_PACKAGES = ("twisted", "twisted.web", "twisted.internet", "twisted.python")

_MODULES = (
    "twisted.web.error",
    "twisted.web.http",
    "twisted.web.http_headers",
    "twisted.web.pages",
    "twisted.web.resource",
    "twisted.web.script",
    "twisted.web.server",
    "twisted.web.static",
    "twisted.web.util",
    "twisted.web.vhost",
    "twisted.web.wsgi",
    "twisted.internet.address",
    "twisted.internet.base",
    "twisted.internet.defer",
    "twisted.internet.error",
    "twisted.internet.reactor",
    "twisted.internet.threads",
    "twisted.python.components",
    "twisted.python.failure",
    "twisted.python.threadpool",
    "twisted.python.urlpath",
)


class _StandIns(MetaPathFinder, Loader):
    """Finds the modules of ours that stand in for Twisted's. Asked last: an installed Twisted comes first."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        if fullname in _PACKAGES:
            return importlib.util.spec_from_loader(fullname, self, is_package=True)
        if fullname in _MODULES:
            return importlib.util.spec_from_loader(fullname, self)
        if fullname.startswith("twisted."):
            raise ModuleNotFoundError(
                "No module named %r: Twisted is not installed; handwound stands in for the part of it that serves "
                "the web, which has no such module" % (fullname,),
                name=fullname,
            )
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Optional[ModuleType]:
        # A package of its own, with nothing in its path: what is below it is found here, and nowhere twice.
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        if name in _PACKAGES:
            module.__doc__ = "Stands in for Twisted's package of this name: parts of handwound under Twisted's names."
            module.__path__ = []
            return
        # The import system takes what stands there when this returns: the module itself, not a copy.
        sys.modules[name] = _ours(name)


def _ours(name: str) -> Any:
    own = "handwound" + name[len("twisted") :]
    importlib.import_module(own)
    return sys.modules[own]


def install() -> None:
    """Lets this Python import Twisted's names. The second time it does nothing."""
    if any(isinstance(finder, _StandIns) for finder in sys.meta_path):
        return
    installed = "twisted" in sys.modules or importlib.util.find_spec("twisted") is not None
    sys.meta_path.append(_StandIns())
    if installed and "twisted.internet.reactor" not in sys.modules:
        package = importlib.import_module("twisted.internet")
        reactor = _ours("twisted.internet.reactor")
        sys.modules["twisted.internet.reactor"] = reactor
        package.reactor = reactor  # type: ignore[attr-defined]


def preferred(module: str, name: str, ours: Any) -> Any:
    """What Twisted's own `module` has under this name, where that is in use, or else `ours`: for what programs that use
    Twisted compare with Twisted's."""
    return getattr(sys.modules.get("twisted." + module), name, ours)


def is_theirs(thing: Any) -> bool:
    """Whether this is of a class of Twisted's own, or of one derived from such a class."""
    return "twisted.internet" in sys.modules and any(
        base.__module__.startswith("twisted.") for base in type(thing).__mro__
    )
