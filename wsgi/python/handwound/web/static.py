"""Files and folders as resources."""

from __future__ import annotations

import mimetypes
import os
from typing import IO, TYPE_CHECKING, Any, ClassVar, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from handwound.python.components import Componentized
from handwound.web import http
from handwound.web.resource import ForbiddenResource, NoResource, Resource
from handwound.web.util import redirectTo

if TYPE_CHECKING:
    from handwound.web.server import Request

__all__ = ["Data", "DirectoryLister", "File", "Registry", "addSlash", "getTypeAndEncoding", "loadMimeTypes"]

StrPath = Union[str, "os.PathLike[str]"]


class Data(Resource):
    """Bytes that are always the same."""

    def __init__(self, data: bytes, type: str) -> None:
        super().__init__()
        if not isinstance(data, bytes):
            raise TypeError("what is sent is bytes, not %r; encode it" % (data,))
        self.data = data
        self.type = type

    def render_GET(self, request: "Request") -> bytes:
        """Sends the bytes."""
        request.setHeader(b"content-type", self.type)
        return self.data


def addSlash(request: "Request") -> bytes:
    """The URL of a request with a slash behind its path: path and query only."""
    path, mark, query = request.uri.partition(b"?")
    # Two slashes at the start would name a host.
    return b"/" + path.lstrip(b"/") + b"/" + mark + query


class Registry(Componentized):
    """What the scripts of a folder share: components, and the resources that they asked to be kept."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: Dict[str, Tuple[Optional[int], Any]] = {}

    def cachePath(self, path: str, rsrc: Any) -> None:
        """Keeps the resource of the script at `path`, as long as the file does not change."""
        self._kept[path] = (_changed(path), rsrc)

    def getCachedPath(self, path: str) -> Any:
        """The resource that is kept for the script at `path`, or None."""
        kept = self._kept.get(path)
        return kept[1] if kept is not None and kept[0] == _changed(path) else None


def _changed(path: str) -> Optional[int]:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def loadMimeTypes(mimetype_locations: Optional[Sequence[str]] = None, init: Any = mimetypes.init) -> Dict[str, str]:
    """Content types by extension (`.html`): Python's own, and those of the system."""
    init(mimetype_locations)
    types = dict(mimetypes.types_map)
    # What browsers show as text, where the common tables would have it saved.
    types.update({".conf": "text/plain", ".diff": "text/plain", ".patch": "text/plain", ".java": "text/plain"})
    types.update({".flac": "audio/x-flac", ".ogg": "application/ogg", ".oz": "text/x-oz", ".swf": "application/x-shockwave-flash"})
    return types


def getTypeAndEncoding(
    filename: str, types: Mapping[str, str], encodings: Mapping[str, str], defaultType: Optional[str]
) -> Tuple[Optional[str], Optional[str]]:
    """The content type of a file of this name, and its content encoding: of `a.html.gz`, `text/html` and `gzip`."""
    stem, extension = os.path.splitext(os.path.basename(filename))
    encoding = encodings.get(extension.lower())
    if encoding is not None:
        extension = os.path.splitext(stem)[1]
    return types.get(extension.lower(), defaultType), encoding


def child_path(folder: str, segment: bytes) -> Optional[str]:
    """The path that one decoded segment leads to in a folder; None for what would leave it, and for what no file is
    called."""
    if segment in (b"", b".", b"..") or b"/" in segment or b"\0" in segment:
        return None
    return os.path.join(folder, os.fsdecode(segment))


def _rendered(resource: Any, request: "Request") -> Union[bytes, int]:
    body: Union[bytes, int] = resource.render(request)
    return body


class File(Resource):
    """A file, or a folder with all that is in it.

    Of a folder, one of `indexNames` answers, or a list of what is in it. Files with an extension that `processors` has
    are answered by what that makes of them: `{".rpy": ResourceScript}` makes scripts of them. All others are sent:
    whole, in the ranges that a client asks for, or not at all to who has them already.

    `contentTypes`, `contentEncodings`, `indexNames`, `processors` and `childNotFound` may be set on an instance, and hold
    for everything below it.
    """

    contentTypes: ClassVar[Dict[str, str]] = loadMimeTypes()
    contentEncodings: ClassVar[Dict[str, str]] = {".gz": "gzip", ".bz2": "bzip2", ".br": "br", ".zst": "zstd"}
    processors: Dict[str, Any] = {}
    """What answers for files of an extension: `processor(path, registry)` gives a resource."""
    indexNames: List[str] = ["index", "index.html", "index.htm", "index.rpy"]
    """What answers for a folder, the first that is there."""
    childNotFound: Any = NoResource("File not found.")
    """What answers for what is not there."""
    forbidden: Any = ForbiddenResource()
    """What answers for what must not be read."""
    type: Optional[str] = None
    encoding: Optional[str] = None

    def __init__(
        self,
        path: Union[StrPath, bytes],
        defaultType: str = "text/html",
        ignoredExts: Sequence[str] = (),
        registry: Optional[Registry] = None,
        allowExt: Union[bool, int] = 0,
    ) -> None:
        super().__init__()
        self.path = os.path.abspath(os.fsdecode(path))
        self.defaultType = defaultType
        self.ignoredExts: List[str] = list(ignoredExts) or (["*"] if allowExt else [])
        self.registry = registry if registry is not None else Registry()

    def __repr__(self) -> str:
        return "%s(%r)" % (type(self).__name__, self.path)

    # What is there.

    def ignoreExt(self, ext: str) -> None:
        """Has paths leave out this extension: with `.html`, `/a` finds `a.html`; with `*`, any."""
        self.ignoredExts.append(ext)

    def exists(self) -> bool:
        """Whether there is such a file or folder."""
        return os.path.exists(self.path)

    def isdir(self) -> bool:
        """Whether it is a folder."""
        return os.path.isdir(self.path)

    def isfile(self) -> bool:
        """Whether it is a file."""
        return os.path.isfile(self.path)

    def basename(self) -> str:
        """Its name, without the folder."""
        return os.path.basename(self.path)

    def dirname(self) -> str:
        """The path of the folder that it is in."""
        return os.path.dirname(self.path)

    def child(self, name: str) -> "File":
        """A file or folder in this folder.

        Raises `ValueError` for a name that would leave it.
        """
        path = child_path(self.path, os.fsencode(name))
        if path is None:
            raise ValueError("%r is no name of a file in %r" % (name, self.path))
        return self.createSimilarFile(path)

    def listdir(self) -> List[str]:
        """The names in this folder."""
        return os.listdir(self.path)

    def restat(self, reraise: bool = True) -> None:
        """Does nothing: it is looked at anew each time."""

    def getsize(self) -> int:
        """Its size in bytes."""
        return os.path.getsize(self.path)

    def getFileSize(self) -> int:
        """Its size in bytes."""
        return self.getsize()

    def getModificationTime(self) -> float:
        """When it was changed, in seconds since 1970."""
        return os.path.getmtime(self.path)

    def openForReading(self) -> IO[bytes]:
        """The file, open."""
        return open(self.path, "rb")

    def listNames(self) -> List[Any]:
        """The names in this folder, and the segments of children that were put there."""
        names: List[Any] = sorted(self.listdir()) if self.isdir() else []
        return names + self.listStaticNames()

    def listEntities(self) -> List[Any]:
        """What is in this folder, as resources."""
        return [self.child(name) for name in self.listdir()] if self.isdir() else []

    def createSimilarFile(self, path: str) -> "File":
        """A resource for another file, with all that was set on this one."""
        other = type(self)(path, self.defaultType, self.ignoredExts, self.registry)
        for name in ("processors", "indexNames", "childNotFound", "forbidden", "contentTypes", "contentEncodings"):
            if name in self.__dict__:
                setattr(other, name, self.__dict__[name])
        return other

    # Below it.

    def getChild(self, path: bytes, request: "Request") -> Any:
        """The file, script or folder that a segment leads to; for the empty one, the index or the listing."""
        if not self.isdir():
            return self.childNotFound
        found = self._index() if path == b"" else self._named(path)
        if found is None:
            return self.directoryListing() if path == b"" else self.childNotFound
        processor = self._processor(found)
        if processor is not None:
            return processor(found, self.registry)
        return self.createSimilarFile(found)

    def _index(self) -> Optional[str]:
        paths = (os.path.join(self.path, name) for name in self.indexNames)
        return next((path for path in paths if os.path.exists(path)), None)

    def _named(self, segment: bytes) -> Optional[str]:
        path = child_path(self.path, segment)
        if path is None or os.path.exists(path):
            return path
        for extension in self.ignoredExts:
            if extension != "*":
                if os.path.exists(path + extension):
                    return path + extension
                continue
            start = os.path.basename(path) + "."
            for name in sorted(os.listdir(self.path)):
                if name.startswith(start):
                    return os.path.join(self.path, name)
        return None

    def _processor(self, path: str) -> Any:
        extension = os.path.splitext(path)[1].lower()
        if not extension:
            return None
        return next((made for name, made in self.processors.items() if name.lower() == extension), None)

    def directoryListing(self) -> Resource:
        """What answers for a folder that has no index. To be overridden, with `childNotFound` for instance."""
        return DirectoryLister(
            self.path, None, self.contentTypes, self.contentEncodings, self.defaultType
        )

    # The file itself.

    def render_GET(self, request: "Request") -> Union[bytes, int]:
        """Sends the file; a folder leads to the same URL with a slash behind it."""
        if self.isdir():
            return self.redirect(request)
        if not os.path.exists(self.path):
            return _rendered(self.childNotFound, request)
        if not os.access(self.path, os.R_OK):
            return _rendered(self.forbidden, request)
        kind, _encoding = getTypeAndEncoding(self.path, self.contentTypes, self.contentEncodings, self.defaultType)
        if self.type is not None:
            kind = self.type
        request.responseHeaders.removeHeader(b"content-type")
        return request._send_file(self.path, kind or "application/octet-stream")

    def redirect(self, request: "Request") -> bytes:
        """Leads to the same URL with a slash behind it."""
        return redirectTo(addSlash(request), request)


class DirectoryLister(Resource):
    """A page that lists what is in a folder."""

    isLeaf = True

    def __init__(
        self,
        pathname: StrPath,
        dirs: Optional[Sequence[str]] = None,
        contentTypes: Mapping[str, str] = File.contentTypes,
        contentEncodings: Mapping[str, str] = File.contentEncodings,
        defaultType: str = "text/html",
    ) -> None:
        super().__init__()
        self.path = os.fspath(pathname)
        self.dirs = dirs
        self.contentTypes = contentTypes
        self.contentEncodings = contentEncodings
        self.defaultType = defaultType

    def __repr__(self) -> str:
        return "<DirectoryLister of %r>" % (self.path,)

    def render_GET(self, request: "Request") -> Union[bytes, int]:
        """Sends the page."""
        if not os.path.isdir(self.path):
            return _rendered(File.childNotFound, request)
        if not os.access(self.path, os.R_OK | os.X_OK):
            request.setResponseCode(http.FORBIDDEN)
            return _rendered(File.forbidden, request)
        return request._send_listing(self.path)
