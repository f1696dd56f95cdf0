"""Resources that are scripts: files whose name ends in `.rpy`, run for each request.

Such a script sets `resource`::

    from handwound.web.resource import Resource

    class Hello(Resource):
        isLeaf = True

        def render_GET(self, request):
            return b"Hello, world!"

    resource = Hello()

Besides its own globals it has `__file__`, its path; `registry`, what all scripts of a folder share; and `cache()`, which
has the resource kept: from then on the script is run up to that call only, and what was kept is taken, until the file
changes. `recache()` keeps this run's resource in place of an earlier one.
"""

from __future__ import annotations

import html
import os
import threading
import traceback
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple, Union

from handwound import _native
from handwound.web import http, static
from handwound.web.resource import Resource, page

if TYPE_CHECKING:
    from handwound.web.server import Request

__all__ = ["AlreadyCached", "CacheScanner", "ResourceScript", "ResourceScriptDirectory", "ResourceScriptWrapper"]


class AlreadyCached(Exception):
    """`cache()` was called by a script whose resource is kept already: what is kept is the first argument."""


class CacheScanner:
    """The `cache` and `recache` of one run of a script."""

    def __init__(self, path: str, registry: "static.Registry") -> None:
        self.path = path
        self.registry = registry
        self.doCache = False
        self._is_over = False
        self._held: Any = None

    def cache(self) -> None:
        """Keeps the script's resource. If one is kept already, that is taken, and the rest of the script not run."""
        kept = self.registry.getCachedPath(self.path)
        if kept is None and self._held is None and not self._is_over:
            # Several workers may run the script for the first time: one goes on, and the others take what it makes.
            with _code_lock:
                self._held = _first_runs.setdefault(self.path, threading.RLock())
            self._held.acquire()
            kept = self.registry.getCachedPath(self.path)
        if kept is not None:
            raise AlreadyCached(kept)
        self.recache()

    def recache(self) -> None:
        """Keeps the script's resource, in place of one that is kept already."""
        self.doCache = True

    def end(self) -> None:
        """The script has run, and what it keeps is kept. To be called on the thread that it ran on."""
        self._is_over = True
        if self._held is not None:
            self._held.release()
            self._held = None


class _Broken(Resource):
    """What stands for a script that has no resource to offer: a 500, here and below."""

    isLeaf = True

    def __init__(self, headline: str, detail: str, text: str) -> None:
        super().__init__()
        self._headline, self._detail, self._text = headline, detail, text

    def getChild(self, path: bytes, request: "Request") -> Resource:
        return self

    def render(self, request: "Request") -> bytes:
        detail = html.escape(self._detail)
        if request.site.displayTracebacks:
            detail = "</p><pre>%s</pre><p>" % (html.escape(self._text),)
        request.setResponseCode(http.INTERNAL_SERVER_ERROR)
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        return page(http.INTERNAL_SERVER_ERROR, self._headline, detail)


class ScriptError(Exception):
    """A script has no resource to offer. Its text says why; `text` has the traceback too, if there is one."""

    def __init__(self, why: str, text: Optional[str] = None) -> None:
        super().__init__(why)
        self.text = text or why


def run(path: str, registry: "static.Registry") -> Any:
    """Runs a script, unless it asked to be kept and has not changed, and gives its resource.

    Raises `ScriptError`.
    """
    scanner = CacheScanner(path, registry)
    names: Dict[str, Any] = {
        "__name__": "__rpy__",
        "__file__": path,
        "__builtins__": __builtins__,
        "registry": registry,
        "cache": scanner.cache,
        "recache": scanner.recache,
        "resource": None,
    }
    try:
        return _run(path, registry, scanner, names)
    finally:
        scanner.end()


def _run(path: str, registry: "static.Registry", scanner: CacheScanner, names: Dict[str, Any]) -> Any:
    try:
        exec(_compiled(path), names)
    except AlreadyCached as cached:
        return cached.args[0]
    except Exception as error:
        raise ScriptError("%s: %s" % (path, _said(error)), _traceback(error)) from None
    except SystemExit as error:
        raise ScriptError("%s: the script called exit(%r)" % (path, error.code)) from None
    found = names["resource"]
    why = _wrong(found)
    if why is not None:
        raise ScriptError("%s: %s" % (path, why))
    if scanner.doCache:
        registry.cachePath(path, found)
    return found


def _wrong(found: Any) -> Optional[str]:
    """What is wrong with a script's resource."""
    if found is None:
        return "the script sets no 'resource'; a resource is what answers, as resource = WSGIResource(…)"
    if isinstance(found, type):
        return "'resource' is the class %s itself; write resource = %s()" % (found.__name__, found.__name__)
    if hasattr(found, "render") and hasattr(found, "getChildWithDefault") and hasattr(found, "isLeaf"):
        return None
    if callable(found):
        return (
            "'resource' is a %s, not a resource; a WSGI application is made one by "
            "WSGIResource(reactor, reactor.getThreadPool(), application)" % (type(found).__name__,)
        )
    return "'resource' is a %s, not a resource" % (type(found).__name__,)


def _said(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]


def _traceback(error: BaseException) -> str:
    """Without what ran the script."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    return "".join(traceback.format_exception(type(error), error, tb)).strip()


_code: Dict[str, Tuple[Tuple[int, int], Any]] = {}
_first_runs: Dict[str, Any] = {}
"""Of scripts that ask to be kept: held from then on until that is done."""
_code_lock = threading.Lock()


def _compiled(path: str) -> Any:
    """The script's code: compiled once for each state of the file."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        state = (status.st_mtime_ns, status.st_size)
        with _code_lock:
            known = _code.get(path)
        if known is not None and known[0] == state:
            return known[1]
        code = compile(file.read(), path, "exec", dont_inherit=True)
    with _code_lock:
        if len(_code) >= 1000:
            _code.clear()
        _code[path] = (state, code)
    return code


def ResourceScript(path: str, registry: Optional["static.Registry"] = None) -> Any:
    """The resource that a script sets: the processor of `.rpy` files.

    A script that raises, or sets no resource, gets a page that says so, with status 500, and an entry in the log.
    """
    try:
        return run(os.fspath(path), registry if registry is not None else static.Registry())
    except ScriptError as error:
        _native.log_error(error.text if error.text == str(error) else "%s\n%s" % (path, error.text))
        if isinstance(error.text, str) and error.text != str(error):
            return _Broken("The script failed", "The script for this page raised an exception; the log has it.", error.text)
        return _Broken("The script is not whole", "The script for this page sets no resource; the log says more.", error.text)


class ResourceScriptWrapper(Resource):
    """A script as a resource: run again for each request, unless it calls `cache()`. Its resource takes the rest of the
    path from here."""

    def __init__(self, path: Union[str, "os.PathLike[str]"], registry: Optional["static.Registry"] = None) -> None:
        super().__init__()
        self.path = os.fspath(path)
        self.registry = registry if registry is not None else static.Registry()

    def getChildWithDefault(self, path: bytes, request: "Request") -> Any:
        found = ResourceScript(self.path, self.registry)
        if found.isLeaf:
            request.postpath.insert(0, request.prepath.pop())
            return found
        return found.getChildWithDefault(path, request)

    def render(self, request: "Request") -> Any:
        return ResourceScript(self.path, self.registry).render(request)


class ResourceScriptDirectory(Resource):
    """A folder whose files are scripts, whatever their names end in."""

    def __init__(self, pathname: Union[str, "os.PathLike[str]"], registry: Optional["static.Registry"] = None) -> None:
        super().__init__()
        self.path = os.fspath(pathname)
        self.registry = registry if registry is not None else static.Registry()

    def getChild(self, path: bytes, request: "Request") -> Any:
        name = static.child_path(self.path, path)
        if name is None:
            return static.File.childNotFound
        if os.path.isdir(name):
            return ResourceScriptDirectory(name, self.registry)
        return ResourceScript(name, self.registry) if os.path.exists(name) else static.File.childNotFound

    def render(self, request: "Request") -> Any:
        return static.File.childNotFound.render(request)
