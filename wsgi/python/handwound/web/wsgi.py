"""WSGI applications as resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterable, Optional, Tuple, Union

from handwound import _native
from handwound._twisted import preferred
from handwound.web.resource import NOT_DONE_YET

if TYPE_CHECKING:
    from handwound.web.server import Request

__all__ = ["WSGIResource"]


class WSGIResource:
    """A leaf that runs a WSGI application (PEP 3333) on threads of a pool::

        resource = WSGIResource(reactor, reactor.getThreadPool(), application)

    The path that led here is SCRIPT_NAME, the rest is PATH_INFO. What was set on the request on the way here, headers and
    cookies, goes out with the response.

    As the root of a site it is served without a detour: no Python but the application's runs for a request.
    """

    isLeaf = True

    def __init__(self, reactor: Any, threadpool: Any, application: Callable[..., Iterable[bytes]]) -> None:
        if not callable(application):
            raise TypeError("a WSGI application is called with (environ, start_response); %r cannot be" % (application,))
        self._reactor = reactor
        self._threadpool = threadpool
        self._application = application
        self._native = _native.WSGIApplication(application, _name(application))

    def render(self, request: "Request") -> Union[bytes, int]:
        """Hands the request to the application."""
        hand_over(request, self._native, self._threadpool)
        return NOT_DONE_YET

    def getChildWithDefault(self, name: bytes, request: "Request") -> Any:
        """Refuses: a leaf has no children."""
        raise RuntimeError("a WSGIResource takes the rest of the path itself; it has no child %r" % (name,))

    def putChild(self, path: bytes, child: Any) -> None:
        """Refuses: a leaf has no children."""
        raise RuntimeError(
            "a WSGIResource takes the rest of the path itself and has no children; put both below a Resource instead"
        )


def hand_over(request: "Request", application: "_native.WSGIApplication", pool: Any) -> None:
    """Has a WSGI application answer a request, on a thread of `pool`."""
    prepath, postpath = request.prepath, request.postpath
    request._let_go()
    request.channel.hand_over(
        application,
        pool,
        len(prepath),
        b"/" + b"/".join(prepath) if prepath else b"",
        b"/" + b"/".join(postpath) if postpath else b"",
        request._fields(),
    )


def native_of(resource: Any) -> Optional[Tuple["_native.WSGIApplication", Any]]:
    """The application and the pool of a `WSGIResource`, Twisted's own included; None for any other resource."""
    if isinstance(resource, WSGIResource):
        return resource._native, resource._threadpool
    theirs = preferred("web.wsgi", "WSGIResource", WSGIResource)
    if theirs is WSGIResource or not isinstance(resource, theirs):
        return None
    native = resource.__dict__.get("_handwound_native")
    if native is None:
        application = resource._application
        native = resource._handwound_native = _native.WSGIApplication(application, _name(application))
    return native, resource._threadpool


def render(resource: Any, request: "Request") -> Any:
    """`resource.render(request)`; Twisted's own WSGIResource, which needs Twisted's own requests, is taken for ours."""
    if not isinstance(resource, WSGIResource):
        native = native_of(resource)
        if native is not None:
            hand_over(request, *native)
            return NOT_DONE_YET
    return resource.render(request)


def _name(application: Any) -> str:
    """What the log calls it."""
    named = application if hasattr(application, "__qualname__") else type(application)
    code = getattr(named, "__code__", None)
    if named.__module__ == "__rpy__" and code is not None:
        return "%s in %s" % (named.__qualname__, code.co_filename)
    return "%s.%s" % (getattr(named, "__module__", "?"), getattr(named, "__qualname__", "?"))
