"""Cookies, as a response gives them to a client."""

from __future__ import annotations

from typing import Iterable, List, Optional, Tuple, Union

Text = Union[str, bytes, int]


def cookie(
    name: Text,
    value: Text,
    attributes: Iterable[Tuple[str, Optional[Text]]],
    secure: bool,
    http_only: bool,
    same_site: Union[str, bytes, None],
) -> bytes:
    """The value of a `Set-Cookie` field. Attributes that are None are left out.

    Raises `ValueError` for a `same_site` that no client knows.
    """
    site = None if same_site is None else _part(same_site).lower()
    if site not in (None, b"", b"lax", b"strict", b"none"):
        raise ValueError("sameSite is 'lax', 'strict' or 'none', not %r" % (same_site,))
    if site == b"none" and not secure:
        raise ValueError("sameSite 'none' is only taken with secure=True")
    parts: List[bytes] = [_part(name) + b"=" + _part(value)]
    parts.extend(key.encode("ascii") + b"=" + _part(given) for key, given in attributes if given is not None)
    if secure:
        parts.append(b"Secure")
    if http_only:
        parts.append(b"HttpOnly")
    if site:
        parts.append(b"SameSite=" + site)
    return b"; ".join(parts)


def _part(value: Text) -> bytes:
    """One part: a line end or a semicolon would begin another one."""
    encoded = value if isinstance(value, bytes) else str(value).encode("utf8")
    return b" ".join(encoded.replace(b";", b" ").splitlines())
