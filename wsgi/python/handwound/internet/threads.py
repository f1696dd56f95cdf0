"""From threads to the reactor and back, with results."""

import queue
import threading
from typing import Any, Callable, Iterable, Mapping, Sequence, Tuple

from handwound.internet import error
from handwound.internet.defer import Deferred, maybeDeferred
from handwound.python.failure import Failure

__all__ = ["blockingCallFromThread", "callMultipleInThread", "deferToThread", "deferToThreadPool"]


def deferToThreadPool(reactor: Any, threadpool: Any, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred:
    """Has a function called on a thread of a pool. The Deferred gets its result, or its failure, in a call of `reactor`."""
    deferred = Deferred()

    def on_result(success: bool, result: Any) -> None:
        reactor.callFromThread(deferred.callback if success else deferred.errback, result)

    threadpool.callInThreadWithCallback(on_result, f, *args, **kwargs)
    return deferred


def deferToThread(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred:
    """As `deferToThreadPool`, with the default reactor and its pool."""
    from handwound.internet import reactor

    return deferToThreadPool(reactor, reactor.getThreadPool(), f, *args, **kwargs)


def callMultipleInThread(
    tupleList: Iterable[Tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]],
) -> None:
    """Has functions called, one after the other, on a thread of the default reactor's pool."""
    from handwound.internet import reactor

    def run() -> None:
        for function, args, kwargs in tupleList:
            function(*args, **kwargs)

    reactor.callInThread(run)


def blockingCallFromThread(reactor: Any, f: Callable[..., Any], *a: Any, **kw: Any) -> Any:
    """Has a function called by the reactor, and waits for what it returns; if that is a Deferred, for its result. What it
    raises is raised here.

    Raises `RuntimeError` on the thread of the reactor's calls, and `ReactorNotRunning` if the reactor stops before there
    is a result.
    """
    if getattr(reactor, "_thread", None) == threading.get_ident():
        raise RuntimeError("the thread that makes the reactor's calls cannot wait for one of them")
    # Of an end and a result that come together, the first counts.
    answer: "queue.SimpleQueue[Any]" = queue.SimpleQueue()
    stopped = Failure(error.ReactorNotRunning("the reactor has stopped, and there is no result"))
    end = reactor.addSystemEventTrigger("after", "shutdown", answer.put, stopped)
    if reactor._callbacks.post(lambda: maybeDeferred(f, *a, **kw).addBoth(answer.put), ()):
        result = answer.get()
    else:
        result = stopped
    try:
        reactor.removeSystemEventTrigger(end)
    except ValueError:
        pass
    if isinstance(result, Failure):
        result.raiseException()
    return result
