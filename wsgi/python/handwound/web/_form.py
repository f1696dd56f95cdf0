"""Forms that browsers send as the body of a POST."""

from __future__ import annotations

import re
from email.message import Message
from typing import Dict, List, Optional
from urllib.parse import unquote

from handwound.web.http import parse_qs

__all__ = ["BadForm", "arguments"]


class BadForm(ValueError):
    """The body is not what its Content-Type says."""


def arguments(content_type: bytes, body: bytes) -> Dict[bytes, List[bytes]]:
    """The fields of a form; none, if `content_type` is not that of a form. Files are fields like others.

    Raises `BadForm`.
    """
    header = Message()
    header["content-type"] = content_type.decode("latin-1").replace("\r", " ").replace("\n", " ")
    kind = header.get_content_type()
    if kind == "application/x-www-form-urlencoded":
        return parse_qs(body, True)
    if kind != "multipart/form-data":
        return {}
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise BadForm("a multipart body without a boundary")
    return _multipart(boundary.encode("latin-1"), body)


def _multipart(boundary: bytes, body: bytes) -> Dict[bytes, List[bytes]]:
    """RFC 7578: parts between lines that begin with two dashes and the boundary; the last such line ends with two more."""
    mark = b"\r\n--" + boundary
    parts = (b"\r\n" + body).split(mark)
    if len(parts) < 3 or not parts[-1].startswith(b"--"):
        raise BadForm("a multipart body without its boundary, or without its end")
    found: Dict[bytes, List[bytes]] = {}
    # Before the first mark there is nothing of the form, and behind the last one neither.
    for part in parts[1:-1]:
        line_end = part.find(b"\r\n")
        if line_end < 0 or part[:line_end].strip(b" \t"):
            raise BadForm("a boundary that does not end its line")
        head, blank, value = part[line_end:].partition(b"\r\n\r\n")
        if not blank:
            raise BadForm("a part without a head")
        name = _name(head)
        if name is not None:
            found.setdefault(name, []).append(value)
    return found


_DISPOSITION = re.compile(rb"\r\ncontent-disposition[ \t]*:[ \t]*form-data([^\r\n]*)", re.IGNORECASE)
_NAME = re.compile(rb';[ \t]*name[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^";\s]+))', re.IGNORECASE)


def _name(head: bytes) -> Optional[bytes]:
    disposition = _DISPOSITION.search(head)
    if disposition is None:
        return None
    name = _NAME.search(disposition.group(1))
    if name is None:
        return None
    if name.group(1) is None:
        return name.group(2)
    # Browsers write %22, %0D and %0A for what cannot stand there; older ones put a backslash before it.
    text = re.sub(rb"\\(.)", rb"\1", name.group(1))
    for code in (b"%22", b"%0D", b"%0A"):
        text = text.replace(code, unquote(code.decode("ascii")).encode("ascii"))
    return text
