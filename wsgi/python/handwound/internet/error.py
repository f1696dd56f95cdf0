"""What the reactor raises."""

from __future__ import annotations

__all__ = [
    "AlreadyCalled",
    "AlreadyCancelled",
    "CannotListenError",
    "ConnectionDone",
    "ConnectionLost",
    "ReactorAlreadyRunning",
    "ReactorNotRestartable",
    "ReactorNotRunning",
]


class AlreadyCalled(ValueError):
    """The delayed call has been made, so that it cannot be changed any more."""


class AlreadyCancelled(ValueError):
    """The delayed call has been cancelled, so that it cannot be changed any more."""


class ReactorNotRunning(RuntimeError):
    """The reactor does not run, so that there is nothing to stop, or nobody to make a call."""


class ReactorAlreadyRunning(RuntimeError):
    """`run` was called while the reactor runs."""


class ReactorNotRestartable(RuntimeError):
    """`run` was called after the reactor's end. Make another `handwound.internet.base.Reactor`."""


class CannotListenError(OSError):
    """The system does not let the reactor listen there.

    `interface` and `port` are what was asked for (the path, and -1, for a UNIX socket), `socketError` is what the system
    said.
    """

    def __init__(self, interface: str, port: int, socketError: OSError) -> None:
        # With the system's own number, `errno` and the like are there too; a name without an address has none.
        super().__init__(socketError.errno, socketError.strerror or str(socketError))
        self.interface = interface
        self.port = port
        self.socketError = socketError

    def __str__(self) -> str:
        where = self.interface if self.port < 0 else "%s:%d" % (self.interface or "any", self.port)
        return "Couldn't listen on %s: %s." % (where, self.socketError)


class ConnectionLost(ConnectionError):
    """The connection broke off."""


class ConnectionDone(ConnectionLost):
    """The connection ended in an orderly way."""
