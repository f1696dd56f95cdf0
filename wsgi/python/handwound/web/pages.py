"""Resources that are complete answers: not found, forbidden, or any other error."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from handwound.web import http
from handwound.web.resource import Resource, page

if TYPE_CHECKING:
    from handwound.web.server import Request

__all__ = ["errorPage", "forbidden", "notFound"]


class _Page(Resource):
    """The same page for every method, here and below."""

    isLeaf = True

    def __init__(self, code: int, brief: str, detail: str) -> None:
        super().__init__()
        self.code, self.brief, self.detail = code, brief, detail

    def getChild(self, path: bytes, request: "Request") -> Resource:
        return self

    def render(self, request: "Request") -> bytes:
        request.setResponseCode(self.code)
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        return page(self.code, html.escape(self.brief), html.escape(self.detail))


def errorPage(code: int, brief: str, detail: str) -> Resource:
    """A resource that always answers with this status code, a headline and a sentence. Both are text, not HTML."""
    return _Page(code, brief, detail)


def notFound(brief: str = "No Such Resource", message: str = "Sorry. No luck finding that resource.") -> Resource:
    """A resource that always answers 404."""
    return _Page(http.NOT_FOUND, brief, message)


def forbidden(brief: str = "Forbidden Resource", message: str = "Sorry, resource is forbidden.") -> Resource:
    """A resource that always answers 403."""
    return _Page(http.FORBIDDEN, brief, message)
