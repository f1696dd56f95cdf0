"""Status codes and their usual texts, dates, and query strings."""

from __future__ import annotations

import calendar
import time
from email.utils import formatdate, parsedate_tz
from typing import Dict, List, Optional, Tuple
from urllib.parse import unquote_to_bytes

__all__ = [
    "CACHED",
    "NO_BODY_CODES",
    "RESPONSES",
    "datetimeToString",
    "parse_qs",
    "stringToDatetime",
]

SWITCHING = 101
OK = 200
CREATED = 201
ACCEPTED = 202
NON_AUTHORITATIVE_INFORMATION = 203
NO_CONTENT = 204
RESET_CONTENT = 205
PARTIAL_CONTENT = 206
MULTI_STATUS = 207
MULTIPLE_CHOICE = 300
MOVED_PERMANENTLY = 301
FOUND = 302
SEE_OTHER = 303
NOT_MODIFIED = 304
USE_PROXY = 305
TEMPORARY_REDIRECT = 307
PERMANENT_REDIRECT = 308
BAD_REQUEST = 400
UNAUTHORIZED = 401
PAYMENT_REQUIRED = 402
FORBIDDEN = 403
NOT_FOUND = 404
NOT_ALLOWED = 405
NOT_ACCEPTABLE = 406
PROXY_AUTH_REQUIRED = 407
REQUEST_TIMEOUT = 408
CONFLICT = 409
GONE = 410
LENGTH_REQUIRED = 411
PRECONDITION_FAILED = 412
REQUEST_ENTITY_TOO_LARGE = 413
REQUEST_URI_TOO_LONG = 414
UNSUPPORTED_MEDIA_TYPE = 415
REQUESTED_RANGE_NOT_SATISFIABLE = 416
EXPECTATION_FAILED = 417
IM_A_TEAPOT = 418
INTERNAL_SERVER_ERROR = 500
NOT_IMPLEMENTED = 501
BAD_GATEWAY = 502
SERVICE_UNAVAILABLE = 503
GATEWAY_TIMEOUT = 504
HTTP_VERSION_NOT_SUPPORTED = 505
INSUFFICIENT_STORAGE_SPACE = 507
NOT_EXTENDED = 510

RESPONSES: Dict[int, bytes] = {
    100: b"Continue",
    101: b"Switching Protocols",
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    203: b"Non-Authoritative Information",
    204: b"No Content",
    205: b"Reset Content",
    206: b"Partial Content",
    207: b"Multi-Status",
    300: b"Multiple Choices",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    305: b"Use Proxy",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    409: b"Conflict",
    410: b"Gone",
    411: b"Length Required",
    412: b"Precondition Failed",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    416: b"Range Not Satisfiable",
    417: b"Expectation Failed",
    418: b"I'm a teapot",
    422: b"Unprocessable Content",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    507: b"Insufficient Storage",
    510: b"Not Extended",
}
"""The usual text for each code; RFC 9110's where it has one."""

NO_BODY_CODES: Tuple[int, ...] = (NO_CONTENT, NOT_MODIFIED)
"""Codes whose responses have no body."""

CACHED = "what the client has is still good"
"""What `Request.setETag` and `Request.setLastModified` return when the client need not be sent the body again."""


def datetimeToString(msSinceEpoch: Optional[float] = None) -> bytes:
    """A date as HTTP writes it, from seconds since 1970 (not milliseconds, whatever the name says); now by default."""
    return formatdate(time.time() if msSinceEpoch is None else msSinceEpoch, usegmt=True).encode("ascii")


def stringToDatetime(dateString: bytes) -> int:
    """Seconds since 1970 from a date as HTTP writes it.

    Raises `ValueError` for what is no date.
    """
    parsed = parsedate_tz(dateString.decode("latin-1"))
    if parsed is None:
        raise ValueError("not a date as HTTP has them: %r" % (dateString,))
    return calendar.timegm(parsed[:9]) - (parsed[9] or 0)


def parse_qs(qs: bytes, keep_blank_values: bool = False, strict_parsing: bool = False) -> Dict[bytes, List[bytes]]:
    """The arguments in a query string: `b"a=1&a=2"` is `{b"a": [b"1", b"2"]}`.

    Arguments without a value are left out, unless `keep_blank_values`; those without a `=` always, or, with
    `strict_parsing`, they are a `ValueError`.
    """
    found: Dict[bytes, List[bytes]] = {}
    for pair in qs.replace(b";", b"&").split(b"&"):
        if not pair and not strict_parsing:
            continue
        name, equals, value = pair.partition(b"=")
        if not equals:
            if strict_parsing:
                raise ValueError("an argument without '=': %r" % (pair,))
            continue
        if value or keep_blank_values:
            name, value = (unquote_to_bytes(part.replace(b"+", b" ")) for part in (name, value))
            found.setdefault(name, []).append(value)
    return found
