"""A request, as resources see it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Tuple, Union

from handwound import _native
from handwound._twisted import is_theirs, preferred
from handwound.internet import error as internet_error
from handwound.internet.defer import Deferred
from handwound.python.failure import Failure
from handwound.web import _cookies, _form, http, resource, wsgi
from handwound.web._incoming import Incoming
from handwound.web._log import short, told
from handwound.web._outgoing import Outgoing, TooMuch
from handwound.web.error import UnsupportedMethod
from handwound.web.http_headers import Headers
from handwound.web.resource import NOT_DONE_YET

if TYPE_CHECKING:
    from handwound._native import Exchange

supportedMethods = (b"GET", b"HEAD", b"POST")


class Request(Incoming):
    """A request and its response.

    What came is in `method`, `uri`, `path`, `args`, `content`, `requestHeaders`; all of it is bytes. What goes out is set
    with `setResponseCode`, `setHeader`, `addCookie`, and sent by returning it from `render`, or with `write` and
    `finish`.

    Any thread may `write` and `finish`, one at a time.
    """

    code = http.OK
    code_message = http.RESPONSES[http.OK]
    defaultContentType: Optional[bytes] = b"text/html"
    finished = 0
    startedWriting = 0
    sentLength = 0
    etag: Optional[bytes] = None
    lastModified: Optional[int] = None
    producer: Any = None
    responseHeaders: Headers
    """The header fields that will be sent."""

    def __init__(self, channel: "Exchange", queued: object = None) -> None:
        super().__init__(channel)
        self.responseHeaders = Headers()
        self.cookies: List[bytes] = []
        self.notifications: List[Deferred] = []
        self._outgoing = Outgoing(channel)
        self._streaming = False
        self._in_fake_head = False
        self._disconnected = False
        self._watched = False
        self._cached = http.CACHED

    # What goes out.

    def setResponseCode(self, code: int, message: Optional[bytes] = None) -> None:
        """Sets the status code, and its text if it is not to be the usual one."""
        if not isinstance(code, int):
            raise TypeError("a status code is an int, not %r" % (code,))
        if message is not None and not isinstance(message, bytes):
            raise TypeError("the text of a status is bytes, not %r" % (message,))
        self.code = code
        self.code_message = http.RESPONSES.get(code, b"Unknown Status") if message is None else message

    def setHeader(self, name: Union[str, bytes], value: Union[str, bytes]) -> None:
        """Sets a header field, replacing those of the same name."""
        self.responseHeaders.setRawHeaders(name, [value])

    def redirect(self, url: Union[str, bytes]) -> None:
        """Leads the client to another URL: sets the status to 302, and `Location`."""
        self.setResponseCode(http.FOUND)
        self.setHeader(b"location", url)

    def setLastModified(self, when: float) -> Optional[str]:
        """Says when the resource was changed, in seconds since 1970; the latest of several counts.

        Returns `http.CACHED` if the client has it since: then there is no body to be sent.
        """
        seconds = int(when) + (when > int(when))
        if self.lastModified is None or seconds > self.lastModified:
            self.lastModified = seconds
        since = self.getHeader(b"if-modified-since")
        if since:
            try:
                known = http.stringToDatetime(since.partition(b";")[0])
            except ValueError:
                return None
            # If-None-Match is the better question, and decides alone (RFC 9110, 13.1.3).
            if known >= seconds and self.getHeader(b"if-none-match") is None:
                self.setResponseCode(http.NOT_MODIFIED)
                return self._cached
        return None

    def setETag(self, etag: bytes) -> Optional[str]:
        """Names the state that the resource is in, quotes included: `b'"v1"'`.

        Returns `http.CACHED` if the client has that state, and for what changes the resource, sets the status to 412.
        """
        if etag:
            self.etag = etag
        field = self.getHeader(b"if-none-match")
        if field:
            tags = [tag.strip() for tag in field.split(b",")]
            weak = [tag[2:] if tag.startswith(b"W/") else tag for tag in tags]
            own = etag[2:] if etag.startswith(b"W/") else etag
            if own in weak or b"*" in tags:
                is_read = self.method in (b"HEAD", b"GET")
                self.setResponseCode(http.NOT_MODIFIED if is_read else http.PRECONDITION_FAILED)
                return self._cached
        return None

    def addCookie(
        self,
        k: Union[str, bytes],
        v: Union[str, bytes],
        expires: Union[str, bytes, None] = None,
        domain: Union[str, bytes, None] = None,
        path: Union[str, bytes, None] = None,
        max_age: Union[str, bytes, int, None] = None,
        comment: Union[str, bytes, None] = None,
        secure: Optional[bool] = None,
        httpOnly: bool = False,
        sameSite: Union[str, bytes, None] = None,
    ) -> None:
        """Gives the client a cookie. `sameSite` is `lax`, `strict` or `none`; the last needs `secure`.

        Line ends and semicolons in its parts become spaces.
        """
        attributes = (("Expires", expires), ("Domain", domain), ("Path", path), ("Max-Age", max_age), ("Comment", comment))
        self.cookies.append(_cookies.cookie(k, v, attributes, bool(secure), httpOnly, sameSite))

    def write(self, data: bytes) -> None:
        """Sends a piece of the body, and the head before the first.

        Waits for a slow client while the resource renders; from any other thread it does not wait, and what the client
        has no room for is kept for it. After the client has left it does nothing: see `notifyFinish`.
        """
        if not isinstance(data, bytes):
            raise TypeError("a body is bytes, not %r; encode it" % (data,))
        if self.finished:
            raise RuntimeError("write() after finish(): the response has ended")
        if self._disconnected:
            return
        if not self.startedWriting:
            self._start()
        if not data or self.method == b"HEAD" or self.code in http.NO_BODY_CODES or self._in_fake_head:
            return
        self.sentLength += len(data)
        streams = self._streaming and self.producer is not None
        try:
            self._outgoing.write(data, *((self.producer.pauseProducing, self._resume) if streams else ()))
        except TooMuch as why:
            self._cut(str(why))

    def finish(self) -> None:
        """The response is complete. To be called once, and only where `render` returned `NOT_DONE_YET`."""
        if self.finished:
            raise RuntimeError("finish() twice: the response has ended")
        if self._disconnected or self.channel.is_disconnected():
            # Who has asked to be told, and could not be yet, does nothing wrong.
            could_know = self._disconnected or not self._watched
            self._lose()
            if could_know:
                raise RuntimeError("finish() after the client has left; notifyFinish() tells when that happens")
            return
        if self.producer is not None:
            self._log("finish() while a producer is registered: call unregisterProducer() first\n%r" % (self.producer,))
            self.unregisterProducer()
        if not self.startedWriting:
            if not self.responseHeaders.hasHeader(b"content-length"):
                self.setHeader(b"content-length", b"0")
            self._start()
        self._end()

    def _end(self) -> None:
        if not self.finished:
            self.finished = 1
            # First: whoever has the response finds that the call for it is on its way.
            self._notify(None)
            self._outgoing.finish(self.channel.finish)

    def notifyFinish(self) -> Deferred:
        """A `Deferred` whose callbacks are called, with None, when the response has been finished, or, with a `Failure`,
        when the client has left before. They run as calls of the reactor do: in order, on one thread."""
        deferred: Deferred = preferred("internet.defer", "Deferred", Deferred)()
        self.notifications.append(deferred)
        if not self._watched:
            self._watched = True
            self.channel.on_disconnect(self._lose)
        return deferred

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Has `producer` write the body.

        One that streams writes when it likes, and is told to pause while the client is slow (`pauseProducing`) and to go
        on (`resumeProducing`). One that does not is asked for each piece (`resumeProducing`), on a worker thread. Either
        is told if the client leaves (`stopProducing`).
        """
        if self.producer is not None:
            raise ValueError("there is a producer already: %r" % (self.producer,))
        self.producer = producer
        self._streaming = bool(streaming)
        if not self._watched:
            self._watched = True
            self.channel.on_disconnect(self._lose)
        if not streaming:
            self.channel.call_in_thread(self._pull)

    def unregisterProducer(self) -> None:
        """The producer has written all it has."""
        self.producer = None
        self._streaming = False

    def loseConnection(self) -> None:
        """Cuts the connection, whatever has been sent."""
        self.transport.loseConnection()

    def _send_file(self, path: str, content_type: str) -> int:
        """Has the server send a file, with what was set on the request."""
        self._let_go()
        self.channel.send_file(path, content_type, self._fields())
        return NOT_DONE_YET

    def _send_listing(self, path: str) -> int:
        """Has the server send the list of a folder, with what was set on the request."""
        self._let_go()
        self.channel.send_listing(path, self._fields())
        return NOT_DONE_YET

    def _let_go(self) -> None:
        """Another one answers."""
        if self.startedWriting or self.finished:
            raise RuntimeError("something of the response has been written; nobody else can answer any more")
        self.startedWriting = self.finished = 1

    def getSession(self, sessionInterface: Any = None, forceNotSecure: bool = False) -> Any:
        """What the server remembers of this client from one request to the next: made at the first, found again by a
        cookie. With `sessionInterface`, the session's component of that class.

        Over an encrypted connection it is another session, with a cookie that is sent over such ones only.
        """
        if self.session is None:
            secure = self.isSecure() and not forceNotSecure
            name = b"TWISTED_SECURE_SESSION" if secure else b"TWISTED_SESSION"
            cookie = b"_".join([name] + self.sitepath)
            uid = self.getCookie(cookie)
            session = self.site.find_session(uid) if uid else None
            if session is None:
                session = self.site.makeSession()
                self.addCookie(cookie, session.uid, path=b"/", secure=secure, httpOnly=True)
            self.session = session
        self.session.touch()
        return self.session.getComponent(sessionInterface) if sessionInterface else self.session

    # What the site does with it.

    def process(self) -> None:
        """Finds the resource that the site has for this request, and has it rendered."""
        self._answer_with(lambda: self.site.getResourceFor(self))

    def _answer_with(self, find: Callable[[], Any]) -> None:
        try:
            if self.method == b"POST" and self.site.parsePOSTFormSubmission:
                self._read_form()
            self.render(find())
        except _form.BadForm as bad:
            self._answer(http.BAD_REQUEST, "Bad Request", html.escape(str(bad)))
        except Exception:
            self.processingFailed(Failure())

    def render(self, resrc: Any) -> None:
        """Has a resource answer."""
        if is_theirs(resrc):
            # It compares by identity.
            self._cached = preferred("web.http", "CACHED", http.CACHED)
        try:
            body = wsgi.render(resrc, self)
        except Exception as error:
            allowed = getattr(error, "allowedMethods", None)
            if allowed is None or type(error).__name__ != "UnsupportedMethod":
                raise
            body = self._unsupported(resrc, allowed)
        if type(body) is int and body == NOT_DONE_YET:
            return
        if self.finished or self._disconnected:
            return
        if not isinstance(body, bytes):
            body = self._no_bytes(resrc, body)
        if not self.startedWriting:
            if self.method == b"HEAD" and not body:
                # Nobody counted what a GET would send.
                pass
            else:
                self.setHeader(b"content-length", b"%d" % len(body))
        if body:
            self.write(body)
        elif not self.startedWriting:
            self._start()
        self._end()

    def processingFailed(self, reason: Any) -> Any:
        """Answers 500 for an exception that a resource raised, and logs it. If a part of the response is out, it is
        cut."""
        text = told(reason)
        if self.finished:
            self._log("an exception after finish()\n" + text)
        elif self.startedWriting:
            self._cut(text)
        else:
            self._log(text)
            self.responseHeaders = Headers()
            self.cookies = []
            detail = "The server could not answer this request; its log says why."
            if self.site is not None and self.site.displayTracebacks:
                detail = "</p><pre>%s</pre><p>" % (html.escape(text),)
            self._answer(http.INTERNAL_SERVER_ERROR, "Processing Failed", detail)
        return reason

    def _unsupported(self, resrc: Any, allowed: Any) -> Any:
        methods = [method if isinstance(method, bytes) else str(method).encode("latin-1") for method in allowed]
        if self.method == b"HEAD" and b"GET" in methods:
            # As a GET, whose body stays here.
            self.method, self._in_fake_head = b"GET", True
            try:
                return resrc.render(self)
            finally:
                self.method, self._in_fake_head = b"HEAD", False
        self.setHeader(b"content-type", b"text/html; charset=utf-8")
        name = html.escape(self.method.decode("latin-1"))
        if self.method in supportedMethods:
            self.setResponseCode(http.NOT_ALLOWED)
            self.setHeader(b"allow", resource.allow_header(methods))
            said = ", ".join(html.escape(method.decode("latin-1")) for method in methods) or "no method at all"
            where = html.escape(self.path.decode("utf8", "replace"))
            return resource.page(self.code, "Method Not Allowed", "%s is not for %s; %s is." % (name, where, said))
        self.setResponseCode(http.NOT_IMPLEMENTED)
        return resource.page(self.code, "Not Implemented", "This resource does not know %s." % (name,))

    def _no_bytes(self, resrc: Any, body: Any) -> bytes:
        said = "%s: %r returned %s (%s) from render; a body is bytes, or NOT_DONE_YET" % (
            self,
            resrc,
            short(body),
            type(body).__name__,
        )
        self._log(said)
        self.setResponseCode(http.INTERNAL_SERVER_ERROR)
        self.setHeader(b"content-type", b"text/html; charset=utf-8")
        hint = "A resource returned %s, where bytes belong; the log says which." % (html.escape(type(body).__name__),)
        return resource.page(self.code, "Request did not return bytes", hint)

    def _answer(self, code: int, headline: str, detail: str) -> None:
        """A page instead of what the resource would have sent."""
        self.setResponseCode(code)
        self.setHeader(b"content-type", b"text/html; charset=utf-8")
        body = resource.page(code, headline, detail)
        self.setHeader(b"content-length", b"%d" % len(body))
        self.write(body)
        self._end()

    def _start(self) -> None:
        """Gives the head to the server, which sends it with the first byte of the body, or the end."""
        self.startedWriting = 1
        headers = self.responseHeaders
        if self.code in http.NO_BODY_CODES:
            headers.removeHeader(b"content-length")
            headers.removeHeader(b"content-type")
        elif self.defaultContentType is not None and not headers.hasHeader(b"content-type"):
            headers.setRawHeaders(b"content-type", [self.defaultContentType])
        if self.lastModified is not None and not headers.hasHeader(b"last-modified"):
            headers.setRawHeaders(b"last-modified", [http.datetimeToString(self.lastModified)])
        if self.etag is not None:
            headers.setRawHeaders(b"etag", [self.etag])
        self.channel.start(self.code, self.code_message, self._fields())

    def _fields(self) -> List[Tuple[bytes, bytes]]:
        """The header fields of the response, cookies among them."""
        fields = [(name, value) for name, values in self.responseHeaders.getAllRawHeaders() for value in values]
        fields.extend((b"Set-Cookie", cookie) for cookie in self.cookies)
        return fields

    def _cut(self, why: str) -> None:
        super()._cut(why)
        # To whoever waits for the end, it is the same as if the client had left.
        self.channel.call_from_thread(self._lose)

    def _lose(self) -> None:
        """The client has left. Runs as a call of the reactor does."""
        if self._disconnected or self.finished:
            return
        self._disconnected = True
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        left = preferred("internet.error", "ConnectionDone", internet_error.ConnectionDone)("the client has left")
        self._notify(preferred("python.failure", "Failure", Failure)(left))

    def _notify(self, result: Any) -> None:
        notifications, self.notifications = self.notifications, []
        for deferred in notifications:
            if result is None:
                self.channel.call_from_thread(deferred.callback, None)
            else:
                self.channel.call_from_thread(deferred.errback, result)

    def _pull(self) -> None:
        """Asks a producer for piece after piece. Runs on a worker."""
        self._outgoing.wait_here()
        try:
            while self.producer is not None and not self._disconnected:
                if self.channel.is_disconnected():
                    self._lose()
                    return
                self.producer.resumeProducing()
        except Exception:
            self.producer = None
            self.processingFailed(Failure())
        finally:
            self._outgoing.wait_here(False)

    def _resume(self) -> None:
        """There is room again for a producer that streams. Runs on a worker."""

        def resume() -> None:
            if self._streaming and self.producer is not None:
                self.producer.resumeProducing()

        self.channel.call_from_thread(resume)

    def _log(self, text: str) -> None:
        _native.log_error("%s %s: %s" % (self.method.decode("latin-1"), self.uri.decode("latin-1"), text))


__all__ = ["NOT_DONE_YET", "Request", "UnsupportedMethod", "supportedMethods"]
