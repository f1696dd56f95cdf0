"""Resources and pages that lead elsewhere."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Union

from handwound.python.failure import Failure
from handwound.web import http, resource
from handwound.web.resource import NOT_DONE_YET
from handwound.web.resource import Resource

if TYPE_CHECKING:
    from handwound.internet.defer import Deferred
    from handwound.web.server import Request

__all__ = ["ChildRedirector", "DeferredResource", "ParentRedirect", "Redirect", "redirectTo"]


def redirectTo(URL: bytes, request: "Request") -> bytes:
    """Leads the client to `URL`. Returns the body of the response, a page with a link for those who do not follow by
    themselves: `return redirectTo(b"/elsewhere", request)`."""
    if not isinstance(URL, bytes):
        raise TypeError("a URL is bytes, not %r" % (URL,))
    # A line end would become a space, and the link another one.
    URL = b"".join(URL.split(b"\n")).replace(b"\r", b"")
    request.setHeader(b"content-type", b"text/html; charset=utf-8")
    request.redirect(URL)
    shown = html.escape(URL.decode("utf8", "replace"))
    return resource.page(http.FOUND, "Found", 'What you look for is <a href="%s">here</a>.' % (shown,))


class Redirect(Resource):
    """Leads to one URL, from here and from everywhere below."""

    isLeaf = True

    def __init__(self, url: bytes) -> None:
        super().__init__()
        self.url = url

    def render(self, request: "Request") -> bytes:
        return redirectTo(self.url, request)

    def getChild(self, name: bytes, request: "Request") -> Resource:
        return self


class ChildRedirector(Redirect):
    """Leads everything below to the same place below another URL."""

    isLeaf = False

    def getChild(self, name: bytes, request: "Request") -> Resource:
        return ChildRedirector(self.url + (b"" if self.url.endswith(b"/") else b"/") + name)


class ParentRedirect(Resource):
    """Leads to the folder that it is in: the URL with nothing behind the last slash."""

    isLeaf = True

    def render(self, request: "Request") -> bytes:
        return redirectTo(str(request.URLPath().here()).encode("ascii"), request)


class DeferredResource(Resource):
    """A resource that is not there yet: requests wait for the `Deferred` that it will be the result of."""

    isLeaf = True

    def __init__(self, d: "Deferred") -> None:
        super().__init__()
        self.d = d

    def getChild(self, name: bytes, request: "Request") -> Resource:
        return self

    def render(self, request: "Request") -> Union[bytes, int]:
        self.d.addCallback(self._found, request).addErrback(self._failed, request)
        return NOT_DONE_YET

    def _found(self, child: Any, request: "Request") -> Any:
        request.render(resource.getChildForRequest(child, request))
        return child

    def _failed(self, reason: Failure, request: "Request") -> None:
        request.processingFailed(reason)
