"""What can go wrong between a request and a resource."""

from __future__ import annotations

from typing import Optional, Sequence, Union

from handwound.web.http import RESPONSES

__all__ = ["Error", "PageRedirect", "UnsupportedMethod"]


class Error(Exception):
    """A response that says it did not work: `status` (as bytes), `message`, and `response`, its body."""

    def __init__(
        self, code: Union[int, bytes], message: Optional[bytes] = None, response: Optional[bytes] = None
    ) -> None:
        self.status = b"%d" % code if isinstance(code, int) else code
        self.message = RESPONSES.get(int(self.status)) if message is None else message
        self.response = response
        super().__init__(self.status, self.message, response)

    def __str__(self) -> str:
        return (self.status + b" " + (self.message or b"")).decode("latin-1").strip()


class PageRedirect(Error):
    """A response that leads elsewhere: `location`."""

    def __init__(
        self,
        code: Union[int, bytes],
        message: Optional[bytes] = None,
        response: Optional[bytes] = None,
        location: Optional[bytes] = None,
    ) -> None:
        super().__init__(code, message, response)
        self.location = location


class UnsupportedMethod(Exception):
    """Raised by `Resource.render` for a method that the resource has no answer for; `allowedMethods` has those it has.

    The server makes it a 405 that lists them.
    """

    allowedMethods: Sequence[bytes] = ()

    def __init__(self, allowedMethods: Sequence[bytes], *args: object) -> None:
        if isinstance(allowedMethods, (bytes, str)):
            raise TypeError("allowedMethods is a list of methods, not %r" % (allowedMethods,))
        super().__init__(allowedMethods, *args)
        self.allowedMethods = allowedMethods

    def __str__(self) -> str:
        return "only %s can be asked of it" % (", ".join(map(repr, self.allowedMethods)) or "nothing")
