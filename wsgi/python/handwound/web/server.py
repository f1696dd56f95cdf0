"""Sites and requests."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple, Union

from handwound.python.components import Componentized
from handwound.web import resource, script, static, wsgi
from handwound.web._request import NOT_DONE_YET, Request, supportedMethods
from handwound.web.error import UnsupportedMethod

if TYPE_CHECKING:
    from handwound._native import Exchange

__all__ = ["NOT_DONE_YET", "Request", "Session", "Site", "UnsupportedMethod", "supportedMethods"]


class Site:
    """A resource tree, to be served: `reactor.listenTCP(8080, Site(root))`.

    `timeout` is how long a connection may stay open without a request, in seconds. `logPath` is a file that each request
    gets a line in, in the combined log format. `requestFactory` makes the requests: a class derived from `Request`.
    """

    displayTracebacks = False
    """Whether the page that tells of an exception shows its traceback. Everybody could read it."""

    sessionCheckTime = 1800

    def __init__(
        self,
        resource: Any,
        requestFactory: Optional[Callable[["Exchange", object], Request]] = None,
        *args: object,
        timeout: Optional[float] = 60,
        logPath: Union[str, bytes, None] = None,
        parsePOSTFormSubmission: bool = True,
        reactor: Any = None,
    ) -> None:
        if args:
            # Twisted's order of what its own base class takes.
            logPath = args[0] if len(args) > 0 else logPath  # type: ignore[assignment]
            timeout = args[1] if len(args) > 1 else timeout  # type: ignore[assignment]
        self.resource = resource
        self.requestFactory = requestFactory or Request
        self.timeOut = timeout
        self.logPath = os.fsdecode(logPath) if logPath is not None else None
        self.parsePOSTFormSubmission = parsePOSTFormSubmission
        self.sessionFactory: Callable[["Site", bytes], "Session"] = Session
        self.sessions: Dict[bytes, "Session"] = {}
        self.counter = 0
        self._lock = threading.Lock()
        self._reactor = reactor

    @property
    def reactor(self) -> Any:
        """The reactor that runs calls for this site: the default one, if no other was named."""
        if self._reactor is None:
            from handwound.internet import reactor

            self._reactor = reactor
        return self._reactor

    def getResourceFor(self, request: Request) -> Any:
        """The resource that answers a request."""
        request.site = self
        request.sitepath = request.prepath[:]
        return resource.getChildForRequest(self.resource, request)

    def getChildWithDefault(self, pathEl: bytes, request: Request) -> Any:
        """As a resource: what the root says."""
        request.site = self
        return self.resource.getChildWithDefault(pathEl, request)

    isLeaf = False

    def render(self, request: Request) -> Any:
        """As a resource: leads to the same place with a slash behind it."""
        request.redirect(request.prePathURL() + b"/")
        request.finish()
        return NOT_DONE_YET

    def makeSession(self) -> "Session":
        """A new session, with a name that nobody can guess."""
        uid = os.urandom(32).hex().encode("ascii")
        session = self.sessionFactory(self, uid)
        with self._lock:
            self.counter += 1
            self.sessions[uid] = session
        session.startCheckingExpiration()
        return session

    def getSession(self, uid: bytes) -> "Session":
        """The session of this name.

        Raises `KeyError` if there is none.
        """
        return self.sessions[uid]

    def find_session(self, uid: bytes) -> Optional["Session"]:
        """The session of this name, if there is one."""
        return self.sessions.get(uid)

    def _drop_session(self, uid: bytes) -> None:
        with self._lock:
            self.sessions.pop(uid, None)


class Session(Componentized):
    """What is remembered of one client from request to request. It expires when the client has not been heard of for
    `sessionTimeout` seconds.

    Attributes may be set freely; components (see `handwound.python.components`) are found by their class.
    """

    sessionTimeout: float = 900

    def __init__(self, site: Site, uid: bytes, reactor: Any = None) -> None:
        super().__init__()
        self.site = site
        self.uid = uid
        self._reactor = reactor
        self._expire_call: Any = None
        self._callbacks: List[Callable[[], Any]] = []
        self._lock = threading.Lock()
        self.lastModified = 0.0
        self.touch()

    @property
    def reactor(self) -> Any:
        """The reactor that the session expires by."""
        return self._reactor if self._reactor is not None else self.site.reactor

    def startCheckingExpiration(self) -> None:
        """Begins to wait for the session's end."""
        self._expire_call = self.reactor.callLater(self.sessionTimeout, self.expire)

    def notifyOnExpire(self, callback: Callable[[], Any]) -> None:
        """Has `callback` called when the session expires."""
        self._callbacks.append(callback)

    def expire(self) -> None:
        """Ends the session now."""
        self.site._drop_session(self.uid)
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
            call, self._expire_call = self._expire_call, None
        for callback in callbacks:
            callback()
        if call is not None and call.active():
            call.cancel()

    def touch(self) -> None:
        """The client was heard of."""
        self.lastModified = self.reactor.seconds()
        call = self._expire_call
        if call is not None:
            try:
                call.reset(self.sessionTimeout)
            except Exception:
                # It expires at this very moment.
                pass


def _serve(site: Site, exchange: "Exchange", script_path: Optional[str] = None) -> None:
    """Answers one request: with what the site's tree has for it, or with what a script makes. Called by the server, on a
    worker; the response has ended when it returns, or will be ended by whoever was given the request."""
    request = site.requestFactory(exchange, False)
    request.site = site
    request.sitepath = []
    outgoing = request._outgoing
    outgoing.wait_here()
    try:
        if script_path is None:
            request.process()
            return
        walked = exchange.walked
        request.prepath, request.postpath = request.postpath[:walked], request.postpath[walked:]
        made = script.ResourceScript
        request._answer_with(
            lambda: resource.getChildForRequest(made(script_path, site.resource.registry), request)
        )
    finally:
        outgoing.wait_here(False)


def _site_of(factory: Any) -> Site:
    """The site that was given to be served."""
    if isinstance(factory, Site):
        return factory
    if hasattr(factory, "getResourceFor") and hasattr(factory, "resource"):
        # Twisted's own: its requests come from its own protocol, which is not what serves here.
        site = Site(factory.resource)
        site.displayTracebacks = bool(getattr(factory, "displayTracebacks", False))
        return site
    if hasattr(factory, "getChildWithDefault"):
        raise TypeError("a resource is served as a site: Site(%r)" % (factory,))
    raise TypeError("what is served is a handwound.web.server.Site, not %r" % (factory,))


def _only_application(site: Site) -> Any:
    """The application and the pool, if the site is nothing but a WSGI application: the server calls it directly."""
    if type(site).getResourceFor is not Site.getResourceFor or site.requestFactory is not Request:
        return None
    return wsgi.native_of(site.resource)


def _folder_site(path: str, display_tracebacks: bool) -> Site:
    """What the scripts of a folder find as their site."""
    root = static.File(path)
    root.processors = {".rpy": script.ResourceScript}
    site = Site(root)
    site.displayTracebacks = display_tracebacks
    return site


def _script_site(path: str, display_tracebacks: bool) -> Tuple[Optional[Site], Optional[str]]:
    """The site whose root a script makes; or one line that says why there is none."""
    try:
        root = script.run(os.fspath(path), static.Registry())
    except script.ScriptError as error:
        if error.text != str(error):
            print(error.text, file=sys.stderr)
        return None, str(error)
    site = Site(root)
    site.displayTracebacks = display_tracebacks
    return site, None
