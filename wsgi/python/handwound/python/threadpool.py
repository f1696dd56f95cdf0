"""Threads for what blocks."""

from typing import Any, Callable, List, Optional

from handwound import _native
from handwound._native import AlreadyQuit, QueueFull

__all__ = ["AlreadyQuit", "QueueFull", "ThreadPool"]


class ThreadPool:
    """A pool of threads, of which there are as many as needed, at least `minthreads`, at the most `maxthreads`.

    Calls wait before `start`; they are made in the order in which they were asked for. Usable from any thread::

        pool = ThreadPool(1, 8, "resize")
        pool.start()
        pool.callInThread(resize, "cat.jpg")
        pool.stop()
    """

    started = False
    """Whether `start` has been called."""

    joined = False
    """Whether `stop` has been called."""

    def __init__(self, minthreads: int = 5, maxthreads: int = 20, name: Optional[str] = None) -> None:
        self._native = _native.ThreadPool(minthreads, maxthreads, name or "pool")
        self.name = name

    @classmethod
    def _around(cls, native: _native.ThreadPool, name: str) -> "ThreadPool":
        """One that is there already, and whose owner starts and stops it."""
        pool = cls.__new__(cls)
        pool._native = native
        pool.name = name
        return pool

    def start(self) -> None:
        """Starts the threads. Does nothing the second time."""
        self.started = True
        self._native.start()

    def stop(self) -> None:
        """Takes no further calls, makes those that wait, and waits until all threads have ended.

        Raises `RuntimeError` on one of the pool's own threads.
        """
        self._native.stop()
        self.started = False
        self.joined = True

    def adjustPoolsize(self, minthreads: Optional[int] = None, maxthreads: Optional[int] = None) -> None:
        """Other numbers of threads: missing ones start, and surplus ones end when they have made their call.

        Raises `ValueError` if that makes no sense.
        """
        least, most = self._native.bounds()
        self._native.resize(least if minthreads is None else minthreads, most if maxthreads is None else maxthreads)

    def callInThread(self, func: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """Has a function called on one of the threads. What it raises is logged.

        Raises `AlreadyQuit` after `stop`, and `QueueFull` if too many calls wait.
        """
        self.callInThreadWithCallback(None, func, *args, **kw)

    def callInThreadWithCallback(
        self, onResult: Optional[Callable[[bool, Any], Any]], func: Callable[..., Any], *args: Any, **kw: Any
    ) -> None:
        """Has a function called on one of the threads, and then, on the same one, `onResult(success, result)`: with True
        and what it returned, or with False and a `handwound.python.failure.Failure`.

        Raises `AlreadyQuit` after `stop`, and `QueueFull` if too many calls wait.
        """
        if not callable(func):
            raise TypeError("%r cannot be called" % (func,))
        self._native.submit(onResult and _with_failure(onResult), func, args, kw)

    @property
    def min(self) -> int:
        """As many threads are kept, also idle ones."""
        return self._native.bounds()[0]

    @property
    def max(self) -> int:
        """More threads there will not be."""
        return self._native.bounds()[1]

    @property
    def workers(self) -> int:
        """How many threads there are."""
        return self._native.counts()[0]

    @property
    def working(self) -> List[None]:
        """As long as there are threads that make a call."""
        return [None] * self._native.counts()[1]

    @property
    def waiters(self) -> List[None]:
        """As long as there are threads that have nothing to do."""
        threads, busy, _ = self._native.counts()
        return [None] * (threads - busy)

    @property
    def threads(self) -> List[None]:
        """As long as there are threads."""
        return [None] * self.workers

    @property
    def queued(self) -> int:
        """How many calls wait for a thread."""
        return self._native.counts()[2]

    def dumpStats(self) -> None:
        """Logs how many of what there are."""
        threads, busy, queued = self._native.counts()
        _native.log_info("%s: %d threads, %d busy, %d calls wait" % (self.name or "pool", threads, busy, queued))

    def __repr__(self) -> str:
        least, most = self._native.bounds()
        return "<ThreadPool %s of %d to %d threads>" % (self.name or "pool", least, most)


def _with_failure(on_result: Callable[[bool, Any], Any]) -> Callable[[bool, Any], Any]:
    def call(success: bool, result: Any) -> None:
        if not success:
            from handwound._twisted import preferred
            from handwound.python.failure import Failure

            result = preferred("python.failure", "Failure", Failure)(result)
        on_result(success, result)

    return call
