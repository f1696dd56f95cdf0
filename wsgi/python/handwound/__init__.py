"""A WSGI container on a reactor that can be wound by hand, for Python.

``handwound web --wsgi foo.application`` serves an application from the command line; this package is for programs that
serve by themselves, and for applications that want more of their server. Its modules have the names that Twisted's
have, so that a port is a change of the first word of its imports:

* ``handwound.internet.reactor``: calls later, calls from threads, listening, starting and stopping
* ``handwound.python.threadpool.ThreadPool``: threads for what blocks
* ``handwound.web``: resources, files, virtual hosts, sites

What blocks runs on threads of a pool, calls of the reactor run in order on one thread, and the thread that serves the
sockets runs no Python at all.
"""

from handwound._native import ClientDisconnected, __version__

__all__ = ["ClientDisconnected", "__version__"]
