"""URLs in parts, for links to neighbours."""

from __future__ import annotations

from typing import List, Union
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

__all__ = ["URLPath"]


class URLPath:
    """A URL. `child`, `sibling`, `parent`, `here` and `click` give new ones; `str` gives the text."""

    def __init__(
        self, scheme: str = "", netloc: str = "", path: str = "", query: str = "", fragment: str = ""
    ) -> None:
        self.scheme = scheme or "http"
        self.netloc = netloc
        self.path = path or "/"
        self.query = query
        self.fragment = fragment

    @classmethod
    def fromString(cls, url: str) -> "URLPath":
        """The URL that `url` is the text of."""
        return cls(*urlsplit(url))

    @classmethod
    def fromBytes(cls, url: bytes) -> "URLPath":
        """The URL that `url` is the text of."""
        return cls.fromString(url.decode("utf8", "replace"))

    @classmethod
    def fromRequest(cls, request: "object") -> "URLPath":
        """Where the request's resource is."""
        return cls.fromBytes(request.prePathURL())  # type: ignore[attr-defined]

    def pathList(self, unquoted: bool = False) -> List[str]:
        """The segments of the path; the first, before the first slash, is empty."""
        parts = self.path.split("/")
        return [unquote(part) for part in parts] if unquoted else parts

    def sibling(self, path: Union[str, bytes], keepQuery: bool = False) -> "URLPath":
        """What lies beside it, under this name."""
        return self._moved(self.pathList()[:-1] + [_quoted(path)], keepQuery)

    def child(self, path: Union[str, bytes], keepQuery: bool = False) -> "URLPath":
        """What lies below it, under this name."""
        parts = self.pathList()
        if parts[-1] == "":
            parts.pop()
        return self._moved(parts + [_quoted(path)], keepQuery)

    def parent(self, keepQuery: bool = False) -> "URLPath":
        """The folder above."""
        parts = self.pathList()
        return self._moved(parts[:-2] + [""] if len(parts) > 2 else ["", ""], keepQuery)

    def here(self, keepQuery: bool = False) -> "URLPath":
        """The folder that it is in."""
        return self._moved(self.pathList()[:-1] + [""], keepQuery)

    def click(self, st: Union[str, bytes]) -> "URLPath":
        """Where a link in a page of this URL leads."""
        link = st.decode("utf8", "replace") if isinstance(st, bytes) else st
        return URLPath.fromString(urljoin(str(self), link))

    def _moved(self, parts: List[str], keep_query: bool) -> "URLPath":
        return URLPath(self.scheme, self.netloc, "/".join(parts), self.query if keep_query else "")

    def __str__(self) -> str:
        return urlunsplit((self.scheme, self.netloc, self.path, self.query, self.fragment))

    def __repr__(self) -> str:
        return "URLPath(scheme=%r, netloc=%r, path=%r, query=%r, fragment=%r)" % (
            self.scheme,
            self.netloc,
            self.path,
            self.query,
            self.fragment,
        )


def _quoted(segment: Union[str, bytes]) -> str:
    return quote(segment, safe="")
