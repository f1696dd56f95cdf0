"""Name-based virtual hosts: several sites at one address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional

from handwound.web import pages, resource
from handwound.web.resource import Resource

if TYPE_CHECKING:
    from handwound.web.server import Request

__all__ = ["NameVirtualHost", "VHostMonsterResource"]


class NameVirtualHost(Resource):
    """Leads each request to the resource of the host that it names::

        root = NameVirtualHost()
        root.addHost(b"www.example.com", main)
        root.default = main

    Names are compared without regard to case, and without the port. `default` answers for all other hosts, and for
    requests that name none; without it they get a 404.
    """

    default: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.hosts: Dict[bytes, Any] = {}

    def addHost(self, name: bytes, resrc: Any) -> None:
        """Has `resrc` answer for the host `name`, given without port."""
        if not isinstance(name, bytes):
            raise TypeError("the name of a host is bytes, not %r" % (name,))
        self.hosts[name.lower()] = resrc

    def removeHost(self, name: bytes) -> None:
        """Takes back `addHost`.

        Raises `KeyError` if there is no such host.
        """
        del self.hosts[name.lower()]

    def getStaticEntity(self, name: bytes) -> Any:
        """What answers for a host."""
        return Resource.getStaticEntity(self, name)

    def getChild(self, path: bytes, request: "Request") -> Any:
        """What the host's resource has for this segment."""
        host = self._host(request)
        if host.isLeaf:
            # It takes the rest of the path itself, this segment too.
            request.postpath.insert(0, request.prepath.pop())
            return host
        return host.getChildWithDefault(path, request)

    def render(self, request: "Request") -> Any:
        """Has the host's resource answer."""
        return self._host(request).render(request)

    def _host(self, request: "Request") -> Any:
        field = (request.getHeader(b"host") or b"").lower()
        name, bracket, _port = field.partition(b"]")
        name = name + bracket if bracket else field.partition(b":")[0]
        found: Optional[Any] = self.hosts.get(name, self.default)
        if found is None:
            return pages.notFound("Not Found", "There is no host %r here." % (name.decode("latin-1"),))
        return found


class VHostMonsterResource(Resource):
    """For servers behind a proxy: `/vhost/http/www.example.com:80/path` answers for `/path`, and links in it name that
    host. Whoever can reach it can claim any host, so it is for proxies only."""

    def getChild(self, path: bytes, request: "Request") -> Any:
        if path not in (b"http", b"https"):
            return pages.notFound()
        return _Hosts(path == b"https")


class _Hosts(Resource):
    def __init__(self, secure: bool) -> None:
        super().__init__()
        self._secure = secure

    def getChild(self, path: bytes, request: "Request") -> Any:
        host, _colon, port = path.partition(b":")
        if port and not port.isdigit():
            return pages.notFound()
        request.setHost(host, int(port) if port else (443 if self._secure else 80), self._secure)
        request.prepath = []
        request.path = b"/" + b"/".join(request.postpath)
        return resource.getChildForRequest(request.site.resource, request)
