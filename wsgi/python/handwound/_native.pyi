"""The compiled part of the package. Programs use the modules around it."""

__version__: str

class ClientDisconnected(ConnectionError):
    """The client has left; nobody will read what is written. Raised by write() and by reads of wsgi.input."""
