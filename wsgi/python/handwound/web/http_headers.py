"""Header fields by name, several values to a name."""

from __future__ import annotations

import re
from typing import AnyStr, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union, cast, overload

__all__ = ["Headers", "InvalidHeaderName"]

T = TypeVar("T")

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SPELLINGS = {
    name.lower(): name
    for name in (b"Content-MD5", b"DNT", b"ETag", b"P3P", b"TE", b"WWW-Authenticate", b"X-XSS-Protection")
}
_canonical: Dict[bytes, bytes] = {}


class InvalidHeaderName(ValueError):
    """A name that no header field can have: `InvalidHeaderName.invalidName`."""

    def __init__(self, invalidName: Union[str, bytes]) -> None:
        self.invalidName = invalidName
        super().__init__(invalidName)


def canonicalName(name: Union[str, bytes]) -> bytes:
    """The spelling in which a field is sent: `b"Content-Type"`."""
    encoded = name.encode("iso-8859-1") if isinstance(name, str) else name
    known = _canonical.get(encoded)
    if known is None:
        if not isinstance(encoded, bytes) or not _TOKEN.fullmatch(encoded):
            raise InvalidHeaderName(encoded)
        lower = encoded.lower()
        known = _SPELLINGS.get(lower) or b"-".join(part.capitalize() for part in lower.split(b"-"))
        if len(_canonical) < 1000:
            _canonical[encoded] = known
    return known


def _value(value: Union[str, bytes]) -> bytes:
    """One line: a value that goes on in further lines would be fields of its own."""
    encoded = value.encode("utf8") if isinstance(value, str) else value
    if not isinstance(encoded, bytes):
        raise TypeError("a header's value is bytes or str, not %r" % (value,))
    if b"\n" in encoded or b"\r" in encoded:
        encoded = b" ".join(encoded.splitlines())
    return encoded.strip()


class Headers:
    """Header fields. Names are compared without regard to case; asked with `str`, values are `str`, decoded from UTF-8,
    and asked with `bytes` they are `bytes`.

    Line ends in values become spaces, so that no value can smuggle in a field of its own.
    """

    __slots__ = ("_fields",)

    def __init__(self, rawHeaders: Optional[Mapping[AnyStr, Sequence[AnyStr]]] = None) -> None:
        self._fields: Dict[bytes, List[bytes]] = {}
        if rawHeaders is not None:
            for name, values in rawHeaders.items():
                self.setRawHeaders(name, values)

    def __repr__(self) -> str:
        return "Headers(%r)" % (self._fields,)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Headers):
            return self._fields == other._fields
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> "Headers":
        """The same fields, to be changed on their own."""
        other = Headers()
        other._fields = {name: values[:] for name, values in self._fields.items()}
        return other

    def hasHeader(self, name: AnyStr) -> bool:
        """Whether there is a field of this name."""
        return canonicalName(name) in self._fields

    def removeHeader(self, name: AnyStr) -> None:
        """Removes all fields of this name, if there are any."""
        self._fields.pop(canonicalName(name), None)

    def setRawHeaders(self, name: Union[str, bytes], values: Sequence[Union[str, bytes]]) -> None:
        """Sets the fields of this name to these values, and to no others."""
        if isinstance(values, (str, bytes)):
            raise TypeError("header %r wants a list of values, not %r" % (name, values))
        self._fields[canonicalName(name)] = [_value(value) for value in values]

    def addRawHeader(self, name: Union[str, bytes], value: Union[str, bytes]) -> None:
        """Adds one more field of this name."""
        if not isinstance(name, (str, bytes)):
            raise TypeError("a header's name is bytes or str, not %r" % (name,))
        self._fields.setdefault(canonicalName(name), []).append(_value(value))

    @overload
    def getRawHeaders(self, name: AnyStr) -> Optional[Sequence[AnyStr]]: ...

    @overload
    def getRawHeaders(self, name: AnyStr, default: T) -> Union[Sequence[AnyStr], T]: ...

    def getRawHeaders(self, name: AnyStr, default: Optional[T] = None) -> Union[Sequence[AnyStr], Optional[T]]:
        """All values of this name, in order; `default` if there are none."""
        values = self._fields.get(canonicalName(name))
        if values is None:
            return default
        if isinstance(name, str):
            return cast("Sequence[AnyStr]", [value.decode("utf8") for value in values])
        return cast("Sequence[AnyStr]", values)

    def getAllRawHeaders(self) -> Iterator[Tuple[bytes, Sequence[bytes]]]:
        """Each name with its values."""
        return iter(self._fields.items())
