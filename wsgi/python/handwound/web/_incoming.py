"""What came with a request."""

from __future__ import annotations

import base64
import binascii
import io
import os
from typing import TYPE_CHECKING, Any, AnyStr, Dict, List, Optional, Union
from urllib.parse import quote, unquote_to_bytes

from handwound.internet.address import IPv4Address, IPv6Address, UNIXAddress
from handwound.web import _form, http
from handwound.web.http_headers import Headers

if TYPE_CHECKING:
    from handwound._native import Exchange
    from handwound.python.urlpath import URLPath
    from handwound.web.server import Session, Site

MEMORY_BYTES_MAX = 1 << 20
"""Bodies up to this are given to resources as `io.BytesIO`; larger ones are read where the server has put them."""

FORM_BYTES_MAX = 64 << 20
"""A form is taken apart in memory. What is to take longer uploads makes its `Site` with `parsePOSTFormSubmission=False`,
and reads `content`."""

Address = Union[IPv4Address, IPv6Address, UNIXAddress]


class Incoming:
    """What came with a request: the half of a `Request` that is there from the beginning."""

    site: "Site"
    """The site that was asked."""
    sitepath: List[bytes]
    """The path of the site's own root: empty."""

    method: bytes
    """GET, HEAD, POST, or whatever the client said."""
    uri: bytes
    """What was asked for, as it came: path and query, percent-encoded."""
    path: bytes
    """The path as it came, percent-encoded, without the query."""
    prepath: List[bytes]
    """The decoded segments of the path that led to this resource."""
    postpath: List[bytes]
    """The decoded segments of the path that are left."""
    clientproto: bytes
    """`b"HTTP/1.1"` or `b"HTTP/1.0"`."""
    requestHeaders: Headers
    """The header fields that came."""
    received_cookies: Dict[bytes, bytes]
    """The cookies that came."""
    content: Any
    """The body that came, all of it, as a file to read from."""

    appRootURL: Optional[bytes] = None
    user = b""
    password = b""

    def __init__(self, channel: "Exchange") -> None:
        self.channel = channel
        self.method = channel.method
        self.uri = channel.target
        self.path = channel.path
        self.clientproto = channel.version
        self.prepath = []
        self.postpath = [unquote_to_bytes(part) for part in self.path[1:].split(b"/")]
        self.requestHeaders = Headers()
        for name, value in channel.headers:
            self.requestHeaders.addRawHeader(name, value)
        self.received_cookies = {}
        for field in self.requestHeaders.getRawHeaders(b"cookie", ()):
            self._read_cookies(field)
        self.content = _content(channel)
        self.session: Optional["Session"] = None
        self._args: Optional[Dict[bytes, List[bytes]]] = None
        self._secure = channel.scheme == "https"
        self._host: Optional[Address] = None
        self._authorize()

    def __repr__(self) -> str:
        return "<%s at 0x%x method=%s uri=%s clientproto=%s>" % (
            type(self).__name__,
            id(self),
            self.method.decode("latin-1"),
            self.uri.decode("latin-1"),
            self.clientproto.decode("latin-1"),
        )

    @property
    def args(self) -> Dict[bytes, List[bytes]]:
        """The arguments of the query, and of the form in the body of a POST: each name with all its values."""
        if self._args is None:
            self._args = http.parse_qs(self.uri.partition(b"?")[2], True)
        return self._args

    @args.setter
    def args(self, args: Dict[bytes, List[bytes]]) -> None:
        self._args = args

    def getHeader(self, key: AnyStr) -> Optional[AnyStr]:
        """The value of this header field, the last one if there are several; `str` for `str`, `bytes` for `bytes`."""
        values = self.requestHeaders.getRawHeaders(key)
        return values[-1] if values else None

    def getAllHeaders(self) -> Dict[bytes, bytes]:
        """The header fields that came, each with its last value. Names are in lower case."""
        return {name.lower(): values[-1] for name, values in self.requestHeaders.getAllRawHeaders()}

    def getCookie(self, key: bytes) -> Optional[bytes]:
        """The value of a cookie that came."""
        return self.received_cookies.get(key)

    def getUser(self) -> bytes:
        """The name that the client gave with HTTP basic authentication; empty if none. It has not been checked."""
        return self.user

    def getPassword(self) -> bytes:
        """The password that the client gave with HTTP basic authentication; empty if none. It has not been checked."""
        return self.password

    def getClientAddress(self) -> Address:
        """Who is at the other end of the connection: an `IPv4Address`, `IPv6Address` or `UNIXAddress`."""
        return _address(self.channel.peer)

    @property
    def client(self) -> Address:
        """As `getClientAddress`."""
        return self.getClientAddress()

    def getClientIP(self) -> Optional[str]:
        """The address of whoever is at the other end, if it is one of the internet."""
        client = self.getClientAddress()
        return client.host if isinstance(client, (IPv4Address, IPv6Address)) else None

    def getHost(self) -> Address:
        """The address that the connection was made to, or what `setHost` said."""
        return _address(self.channel.local) if self._host is None else self._host

    @property
    def host(self) -> Address:
        """As `getHost`."""
        return self.getHost()

    def setHost(self, host: bytes, port: int, ssl: bool = False) -> None:
        """Has links to this server name another host and port: those that a proxy in front of it is known by."""
        self._secure = bool(ssl)
        default = 443 if ssl else 80
        name = host if port == default else host + b":%d" % port
        self.requestHeaders.setRawHeaders(b"host", [name])
        self._host = IPv4Address("TCP", host.decode("latin-1"), port)

    @property
    def transport(self) -> "Transport":
        """The connection, as far as resources have a use for it."""
        return Transport(self)

    def getRequestHostname(self) -> bytes:
        """The host that the client asked for, without its port; this end's address if it named none."""
        field = self.getHeader(b"host")
        if field is None:
            host = self.getHost()
            return host.host.encode("latin-1") if isinstance(host, (IPv4Address, IPv6Address)) else b""
        if field.startswith(b"["):
            return field[1:].partition(b"]")[0]
        return field.partition(b":")[0]

    def isSecure(self) -> bool:
        """Whether the connection is encrypted."""
        return self._secure

    def prePathURL(self) -> bytes:
        """The URL of this resource."""
        return self._url(self.prepath)

    def URLPath(self) -> "URLPath":
        """The URL of this resource, to find its neighbours from."""
        from handwound.python.urlpath import URLPath

        return URLPath.fromRequest(self)

    def childLink(self, name: bytes) -> bytes:
        """A link, relative to this page, to the resource called `name` below it."""
        last = self.path.rpartition(b"/")[2]
        return last + b"/" + name if last else name

    def sibLink(self, name: bytes) -> bytes:
        """A link, relative to this page, to the resource called `name` beside it."""
        return b"../" + name if self.postpath else name

    def rememberRootURL(self) -> None:
        """The application's root is here: `getRootURL` will say so."""
        self.appRootURL = self._url(self.prepath[:-1])

    def getRootURL(self) -> Optional[bytes]:
        """The URL that `rememberRootURL` noted."""
        return self.appRootURL

    def _url(self, path: List[bytes]) -> bytes:
        host = self.getHost()
        port = host.port if isinstance(host, (IPv4Address, IPv6Address)) else None
        name = self.getRequestHostname()
        name = b"[" + name + b"]" if b":" in name else name
        if port is not None and port != (443 if self._secure else 80):
            name += b":%d" % port
        scheme = b"https" if self._secure else b"http"
        return scheme + b"://" + name + b"/" + b"/".join(quote(part, safe="").encode("ascii") for part in path)

    def _cut(self, why: str) -> None:
        """Ends the response in the middle."""
        self.channel.fail(why)

    def _read_cookies(self, field: bytes) -> None:
        for pair in field.split(b";"):
            name, equals, value = pair.strip().partition(b"=")
            if equals:
                self.received_cookies[name] = value

    def _read_form(self) -> None:
        content_type = self.getHeader(b"content-type")
        if not content_type:
            return
        lower = content_type.lower()
        if not lower.startswith((b"application/x-www-form-urlencoded", b"multipart/form-data")):
            return
        if self.channel.body_length > FORM_BYTES_MAX:
            raise _form.BadForm("a form of more than %d bytes" % (FORM_BYTES_MAX,))
        fields = _form.arguments(content_type, self.content.read())
        self.content.seek(0)
        self.args.update(fields)

    def _authorize(self) -> None:
        field = self.getHeader(b"authorization")
        if field is None or not field[:6].lower() == b"basic ":
            return
        try:
            user, colon, password = base64.b64decode(field[6:].strip(), validate=True).partition(b":")
        except binascii.Error:
            return
        if colon:
            self.user, self.password = user, password


class Transport:
    """The connection of a request."""

    def __init__(self, request: Incoming) -> None:
        self._request = request

    def getPeer(self) -> Address:
        """Who is at the other end."""
        return self._request.getClientAddress()

    def getHost(self) -> Address:
        """This end."""
        return _address(self._request.channel.local)

    def isSecure(self) -> bool:
        """Whether it is encrypted."""
        return self._request.channel.scheme == "https"

    def loseConnection(self) -> None:
        """Cuts it, whatever has been sent."""
        self._request._cut("the connection was cut by the resource")

    abortConnection = loseConnection


class _Body(io.RawIOBase):
    """A body that stays where the server has put it: in memory, or in a temporary file."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        data = self._exchange.read_body(self._offset, len(into))
        into[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._offset, os.SEEK_END: self._exchange.body_length}[whence]
        if start + offset < 0:
            raise ValueError("before the start of the body: %d" % (start + offset,))
        self._offset = start + offset
        return self._offset

    def tell(self) -> int:
        return self._offset


def _content(channel: "Exchange") -> Any:
    length = channel.body_length
    if length == 0:
        return io.BytesIO()
    if length <= MEMORY_BYTES_MAX:
        return io.BytesIO(channel.read_body(0, length))
    return io.BufferedReader(_Body(channel), 64 << 10)


def _address(of: Any) -> Address:
    """From the server's own form: host and port, or the path of a UNIX socket."""
    if isinstance(of, tuple):
        host, port = of
        return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)
    return UNIXAddress(of)
