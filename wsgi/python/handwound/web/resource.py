"""The resource tree: which thing answers for a path.

A request's path is cut at its slashes, and each segment, percent-decoded, asks the resource found so far for a child,
until the segments are used up or a resource is a leaf (`isLeaf`): a leaf takes the rest itself, in
`request.postpath`. What was found renders the request.

Resources are asked on worker threads, several at once. What they share needs a lock, and what blocks may block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from handwound.web import http
from handwound.web.error import UnsupportedMethod

if TYPE_CHECKING:
    from typing import Protocol

    from handwound.web.server import Request

    class IResource(Protocol):
        """What a tree is made of. `Resource` is the class to derive from."""

        isLeaf: Any

        def getChildWithDefault(self, path: bytes, request: Request) -> "IResource":
            """The child for one decoded segment."""

        def putChild(self, path: bytes, child: "IResource") -> None:
            """Puts a child below."""

        def render(self, request: Request) -> Union[bytes, int]:
            """Answers a request that ends here."""

else:

    class IResource:
        """What a tree is made of: `isLeaf`, `getChildWithDefault`, `putChild`, `render`."""


__all__ = [
    "ErrorPage",
    "ForbiddenResource",
    "IResource",
    "NoResource",
    "Resource",
    "getChildForRequest",
]


NOT_DONE_YET = 1
"""What `render` returns in place of a body if `request.finish()` will be called later."""


def getChildForRequest(resource: Any, request: "Request") -> Any:
    """Walks from `resource` along `request.postpath`, which becomes shorter as `request.prepath` grows."""
    while request.postpath and not resource.isLeaf:
        segment = request.postpath.pop(0)
        request.prepath.append(segment)
        resource = resource.getChildWithDefault(segment, request)
    return resource


class Resource:
    """A place in the tree of paths. Derive from it, and define `render_GET` and its like, `getChild`, or both.

    `render_GET` takes the request and returns the body as `bytes`, or `NOT_DONE_YET` if `request.finish()` will be
    called later. HEAD is answered from `render_GET`, without the body. A method without a `render_…` of its own gets a
    405 that names those there are.
    """

    isLeaf: Union[bool, int] = False
    """Whether this resource takes the rest of the path itself."""

    server: Any = None

    def __init__(self) -> None:
        self.children: Dict[bytes, Any] = {}

    # Children.

    def putChild(self, path: bytes, child: "IResource") -> None:
        """Puts `child` below this resource, for one segment of the path, replacing what was there.

        The segment is percent-decoded and has no slash. The empty one is what a trailing slash leads to.
        """
        if not isinstance(path, bytes):
            raise TypeError("a segment of a path is bytes, not %r; write %r" % (path, _as_bytes(path)))
        self.children[path] = child
        try:
            child.server = self.server  # type: ignore[attr-defined]
        except AttributeError:
            # Whatever is no Resource need not have room for it.
            pass

    def getChildWithDefault(self, path: bytes, request: "Request") -> "IResource":
        """The child that was put there, or what `getChild` makes. To be overridden by what stands before its children:
        checks of rights, say."""
        child: Optional["IResource"] = self.children.get(path)
        return self.getChild(path, request) if child is None else child

    def getChild(self, path: bytes, request: "Request") -> "IResource":
        """The child for a segment that none was put for. To be overridden; this one answers 404.

        `request.prepath` ends with `path`, and `request.postpath` is what follows.
        """
        return NoResource("No such child resource.")

    def getChildForRequest(self, request: "Request") -> "IResource":
        """The resource below this one that the rest of the request's path leads to."""
        found: "IResource" = getChildForRequest(self, request)
        return found

    def getStaticEntity(self, name: bytes) -> Optional["IResource"]:
        """The child that was put there, or None."""
        return self.children.get(name)

    def getDynamicEntity(self, name: bytes, request: "Request") -> Optional["IResource"]:
        """The child that `getChild` makes, or None where it was put there."""
        return self.getChild(name, request) if name not in self.children else None

    def delEntity(self, name: bytes) -> None:
        """Removes the child that was put there."""
        del self.children[name]

    def reallyPutEntity(self, name: bytes, entity: "IResource") -> None:
        """Puts a child there, whatever `putChild` was made to do."""
        self.children[name] = entity

    def listStaticNames(self) -> List[bytes]:
        """The segments that children were put for."""
        return list(self.children)

    def listStaticEntities(self) -> List[Tuple[bytes, Any]]:
        """The children that were put there, each with its segment."""
        return list(self.children.items())

    def listDynamicNames(self) -> List[bytes]:
        """The segments of children that are made when asked for, as far as they are known: none."""
        return []

    def listDynamicEntities(self, request: Optional["Request"] = None) -> List[Any]:
        """The children that are made when asked for, as far as they are known: none."""
        return []

    def listNames(self) -> List[bytes]:
        """The segments of all children that are known."""
        return self.listStaticNames() + self.listDynamicNames()

    def listEntities(self) -> List[Any]:
        """All children that are known."""
        return self.listStaticEntities() + self.listDynamicEntities()

    # Rendering.

    def render(self, request: "Request") -> Union[bytes, int]:
        """Answers a request that ends here: calls `render_GET` for a GET, and so on.

        Returns the body, or `NOT_DONE_YET`. Raises `UnsupportedMethod` where there is no method of that name.
        """
        name = "render_" + request.method.decode("latin-1")
        method: Optional[Callable[["Request"], Union[bytes, int]]] = getattr(self, name, None)
        if method is None:
            raise UnsupportedMethod(_allowed(self))
        return method(request)

    def render_HEAD(self, request: "Request") -> Union[bytes, int]:
        """Answers a HEAD as `render_GET` would; the server sends no body."""
        get: Optional[Callable[["Request"], Union[bytes, int]]] = getattr(self, "render_GET", None)
        if get is None:
            raise UnsupportedMethod(_allowed(self))
        return get(request)


def _allowed(resource: Any) -> Sequence[bytes]:
    """The methods that a resource says it has, or those that it has a `render_…` for."""
    said: Optional[Sequence[bytes]] = getattr(resource, "allowedMethods", None)
    if said is not None:
        return said
    names = {name[len("render_") :] for name in dir(resource) if name.startswith("render_")}
    own_head = getattr(type(resource), "render_HEAD", None) is not Resource.render_HEAD
    if "GET" not in names and not own_head:
        names.discard("HEAD")
    return sorted(name.encode("latin-1") for name in names)


def _as_bytes(path: Any) -> bytes:
    return path.encode("utf8", "replace") if isinstance(path, str) else b"name"


def page(code: int, headline: str, detail: str) -> bytes:
    """A small page of HTML; both texts are HTML already."""
    return (
        "<!DOCTYPE html>\n<html>\n<head><title>%d - %s</title></head>\n<body>\n<h1>%s</h1>\n<p>%s</p>\n</body>\n</html>\n"
        % (code, headline, headline, detail)
    ).encode("utf8", "xmlcharrefreplace")


class ErrorPage(Resource):
    """The same page for every method, here and below. `brief` and `detail` are HTML and not escaped: for text that comes
    from elsewhere use `handwound.web.pages.errorPage`."""

    def __init__(self, status: int, brief: str, detail: str) -> None:
        super().__init__()
        self.code = status
        self.brief = brief
        self.detail = detail

    def getChild(self, path: bytes, request: "Request") -> Any:
        return self

    def render(self, request: "Request") -> bytes:
        request.setResponseCode(self.code)
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        return page(self.code, self.brief, self.detail)


class NoResource(ErrorPage):
    """A 404. `message` is HTML."""

    def __init__(self, message: str = "Sorry. No luck finding that resource.") -> None:
        super().__init__(http.NOT_FOUND, "No Such Resource", message)


class ForbiddenResource(ErrorPage):
    """A 403. `message` is HTML."""

    def __init__(self, message: str = "Sorry, resource is forbidden.") -> None:
        super().__init__(http.FORBIDDEN, "Forbidden Resource", message)


def allow_header(methods: Iterable[bytes]) -> bytes:
    """The value of `Allow`."""
    return b", ".join(method if isinstance(method, bytes) else str(method).encode("latin-1") for method in methods)
