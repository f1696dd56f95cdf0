"""A result that is not there yet, and functions that are called with it when it is.

This is what requests need of it (`Request.notifyFinish`) and what programs usually do with that; for chains of work
there are `async` functions and `concurrent.futures`.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

from handwound.python.failure import Failure

__all__ = ["AlreadyCalledError", "CancelledError", "Deferred", "fail", "maybeDeferred", "succeed"]


class AlreadyCalledError(Exception):
    """A `Deferred` has one result, and it was given a second one."""


class CancelledError(Exception):
    """Nobody wants the result any more."""


Callback = Callable[..., Any]
_Step = Tuple[Callback, Tuple[Any, ...], Any]


class Deferred:
    """A result that is not there yet.

    Functions are added in pairs: one for a result, one for a failure. When the result comes, the first pair's function
    is called with it, the next pair's with what that returned, and so on; an exception goes on as a `Failure`, to the
    next function that takes one. If the result is there already, a function is called as it is added.

    Not to be used by several threads at once: whoever has it sees to that, as the reactor's one thread for calls does.
    """

    called = False

    def __init__(self, canceller: Optional[Callable[["Deferred"], None]] = None) -> None:
        self._canceller = canceller
        self._steps: List[Tuple[_Step, _Step]] = []
        self._running = False
        self._paused_for: Optional[Deferred] = None
        self._ignore_next = False
        self.result: Any = None

    def addCallbacks(
        self,
        callback: Optional[Callback],
        errback: Optional[Callback] = None,
        callbackArgs: Tuple[Any, ...] = (),
        callbackKeywords: Any = None,
        errbackArgs: Tuple[Any, ...] = (),
        errbackKeywords: Any = None,
    ) -> "Deferred":
        """Adds a function for a result and one for a failure. Returns itself."""
        self._steps.append(
            (
                (callback or _same, callbackArgs or (), callbackKeywords or {}),
                (errback or _same, errbackArgs or (), errbackKeywords or {}),
            )
        )
        if self.called:
            self._run()
        return self

    def addCallback(self, callback: Callback, *args: Any, **kwargs: Any) -> "Deferred":
        """Adds a function for a result; it is called with the result, then `args`. Returns itself."""
        return self.addCallbacks(callback, _same, args, kwargs)

    def addErrback(self, errback: Callback, *args: Any, **kwargs: Any) -> "Deferred":
        """Adds a function for a failure; it is called with the `Failure`, then `args`. Returns itself."""
        return self.addCallbacks(_same, errback, (), None, args, kwargs)

    def addBoth(self, callback: Callback, *args: Any, **kwargs: Any) -> "Deferred":
        """Adds a function for either. Returns itself."""
        return self.addCallbacks(callback, callback, args, kwargs, args, kwargs)

    def callback(self, result: Any) -> None:
        """Here is the result.

        Raises `AlreadyCalledError` if there was one.
        """
        self._start(result)

    def errback(self, fail: Any = None) -> None:
        """Here is why there will be no result: an exception, a `Failure`, or, within an `except` block, nothing.

        Raises `AlreadyCalledError` if there was a result.
        """
        if not _is_failure(fail):
            fail = Failure(fail)
        self._start(fail)

    def cancel(self) -> None:
        """The result is not wanted any more: the failure is a `CancelledError`, unless the canceller knows better."""
        if self.called:
            if self._paused_for is not None:
                self._paused_for.cancel()
            return
        if self._canceller is not None:
            self._canceller(self)
        else:
            # Whoever was to give the result need not know.
            self._ignore_next = True
        if not self.called:
            self._begin(Failure(CancelledError()))

    def _start(self, result: Any) -> None:
        if self._ignore_next:
            self._ignore_next = False
            return
        if self.called:
            raise AlreadyCalledError("this Deferred has its result")
        self._begin(result)

    def _begin(self, result: Any) -> None:
        self.called = True
        self.result = result
        self._run()

    def _run(self) -> None:
        if self._running or self._paused_for is not None:
            return
        self._running = True
        try:
            while self._steps:
                step = self._steps.pop(0)[1 if _is_failure(self.result) else 0]
                function, args, kwargs = step
                try:
                    self.result = function(self.result, *args, **kwargs)
                except Exception:
                    self.result = Failure()
                if isinstance(self.result, Deferred):
                    inner, self._paused_for = self.result, self.result
                    inner.addBoth(self._resume)
                    if self._paused_for is not None:
                        return
        finally:
            self._running = False

    def _resume(self, result: Any) -> None:
        self.result = result
        self._paused_for = None
        self._run()


def _same(result: Any) -> Any:
    return result


def _is_failure(value: Any) -> bool:
    """Also Twisted's own, which is another class of the same name."""
    return isinstance(value, Failure) or (type(value).__name__ == "Failure" and hasattr(value, "raiseException"))


def succeed(result: Any) -> Deferred:
    """A `Deferred` that has its result."""
    deferred = Deferred()
    deferred.callback(result)
    return deferred


def fail(result: Any = None) -> Deferred:
    """A `Deferred` that has failed."""
    deferred = Deferred()
    deferred.errback(result)
    return deferred


def maybeDeferred(f: Callback, *args: Any, **kwargs: Any) -> Any:
    """What `f` returns, as a `Deferred` if it is none."""
    try:
        result = f(*args, **kwargs)
    except Exception:
        return fail()
    return result if isinstance(result, Deferred) else succeed(result)
