"""Where a server listens."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["IPv4Address", "IPv6Address", "UNIXAddress"]


class IPv4Address(NamedTuple):
    """An address of IPv4: the protocol, which is 'TCP', the host, and the port."""

    type: str
    host: str
    port: int


class IPv6Address(NamedTuple):
    """An address of IPv6: the protocol, which is 'TCP', the host, and the port."""

    type: str
    host: str
    port: int
    flowInfo: int = 0
    scopeID: int = 0


class UNIXAddress(NamedTuple):
    """The path of a UNIX socket."""

    name: str
