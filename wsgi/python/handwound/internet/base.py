"""What a reactor is: `Reactor`, of which `handwound.internet.reactor` is one, and what its methods return."""

import signal
import threading
from types import FrameType
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from handwound import _native
from handwound.internet import error
from handwound.internet._events import Event, Trigger
from handwound.internet.address import IPv4Address, IPv6Address, UNIXAddress
from handwound.python.threadpool import ThreadPool

__all__ = ["DelayedCall", "Port", "Reactor"]


class DelayedCall:
    """A call that will be made, as `Reactor.callLater` returns it. Usable from any thread."""

    __slots__ = ("func", "args", "kw", "cancelled", "_callbacks", "_name", "_time", "__weakref__")

    def __init__(
        self,
        callbacks: _native.Callbacks,
        delay: float,
        func: Callable[..., Any],
        args: Tuple[Any, ...],
        kw: Dict[str, Any],
    ) -> None:
        self.func = func
        self.args = args
        self.kw = kw
        self.cancelled = False
        self._callbacks = callbacks
        self._name: Optional[int] = None
        self._time = callbacks.seconds() + delay
        posted = callbacks.post_later(delay, self)
        if posted is not None:
            self._name, self._time = posted

    @property
    def called(self) -> bool:
        """Whether it has been made."""
        return not self.cancelled and not self.active()

    def active(self) -> bool:
        """Whether it will still be made."""
        return self._name is not None and self._callbacks.is_waiting(self._name)

    def getTime(self) -> float:
        """When it is due: seconds, as `Reactor.seconds` tells them."""
        return self._time

    def cancel(self) -> None:
        """It shall not be made.

        Raises `AlreadyCalled` or `AlreadyCancelled`.
        """
        if self._name is None or not self._callbacks.cancel(self._name):
            raise self._too_late()
        self.cancelled = True

    def reset(self, secondsFromNow: float) -> None:
        """Makes it due so many seconds from now, whatever it was before.

        Raises `AlreadyCalled` or `AlreadyCancelled`.
        """
        self._moved(None if self._name is None else self._callbacks.reset(self._name, secondsFromNow))

    def delay(self, secondsLater: float) -> None:
        """Makes it due so many seconds later than it is, or earlier, if the number is negative.

        Raises `AlreadyCalled` or `AlreadyCancelled`.
        """
        self._moved(None if self._name is None else self._callbacks.delay(self._name, secondsLater))

    def _moved(self, time: Optional[float]) -> None:
        if time is None:
            raise self._too_late()
        self._time = time

    def _too_late(self) -> Exception:
        if self.cancelled:
            return error.AlreadyCancelled("this delayed call has been cancelled")
        return error.AlreadyCalled("this delayed call has been made")

    def __repr__(self) -> str:
        state = "cancelled" if self.cancelled else "active" if self.active() else "called"
        name = getattr(self.func, "__qualname__", None) or repr(self.func)
        return "<DelayedCall of %s at %.3f, %s>" % (name, self._time, state)


class Port:
    """Something that listens, as `Reactor.listenTCP` returns it."""

    def __init__(self, loop: _native.EventLoop, number: int, address: Union[IPv4Address, IPv6Address, UNIXAddress]) -> None:
        self._loop = loop
        self._number = number
        self._address = address

    def getHost(self) -> Union[IPv4Address, IPv6Address, UNIXAddress]:
        """Where it listens, with the port that the system chose."""
        return self._address

    def stopListening(self) -> None:
        """Takes no further connection; those there are go on. Does nothing the second time."""
        self._loop.stop_listening(self._number)

    loseConnection = stopListening

    def __repr__(self) -> str:
        return "<Port at %r>" % (self._address,)


class Reactor:
    """Makes calls in order on one thread, serves sockets on another, and runs what blocks on those of a pool.

    Programs usually take the one that is there, `from handwound.internet import reactor`; there may be any number in one
    process. ``run`` makes the calls on the thread that calls it, until ``stop``. The thread for the sockets runs no
    Python.

    All methods may be called from any thread. What a call raises is logged, and the next one made.
    """

    def __init__(self) -> None:
        self._callbacks = _native.Callbacks()
        self._lock = threading.RLock()
        self._state = "new"
        self._events: Dict[str, Event] = {"startup": Event(), "shutdown": Event()}
        self._loop: Optional[_native.EventLoop] = None
        self._pool: Optional[ThreadPool] = None
        self._thread: Optional[int] = None
        self._go_on: Optional[Callable[[], None]] = None

    # Time and calls

    def seconds(self) -> float:
        """The time in seconds since 1970, by a clock that never goes back or jumps."""
        return self._callbacks.seconds()

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> DelayedCall:
        """Has a function called in so many seconds, at the earliest.

        Calls are made in the order in which they are due. Raises `ValueError` for a negative number, and `TypeError` for
        what cannot be called.
        """
        return DelayedCall(self._callbacks, delay, _checked(callable), args, kw)

    def getDelayedCalls(self) -> List[DelayedCall]:
        """The delayed calls that have not been made, the next one first."""
        return self._callbacks.delayed()

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """Has a function called on the reactor's thread for calls. Those of one thread are made in their order.

        Calls wait until the reactor runs, and are forgotten when it has stopped. Raises `RuntimeError` if a million of
        them wait already.
        """
        self._callbacks.post(_checked(callable), args, kw)

    def callWhenRunning(self, callable: Callable[..., Any], *args: Any, **kw: Any) -> Optional[Tuple[str, Trigger]]:
        """Calls a function now, if the reactor runs, and otherwise as soon as it does; then a handle is returned, for
        `removeSystemEventTrigger`."""
        with self._lock:
            if self._state in ("new", "starting"):
                return self.addSystemEventTrigger("after", "startup", callable, *args, **kw)
        _checked(callable)(*args, **kw)
        return None

    # Threads

    def callInThread(self, callable: Callable[..., Any], *args: Any, **kw: Any) -> None:
        """Has a function called on a thread of the pool. What it raises is logged."""
        self.getThreadPool().callInThread(callable, *args, **kw)

    def getThreadPool(self) -> ThreadPool:
        """The reactor's own pool: its threads start when the reactor runs, and end when it stops."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPool._around(self._event_loop().pool(), "reactor")
            return self._pool

    @property
    def threadpool(self) -> ThreadPool:
        """As `getThreadPool`."""
        return self.getThreadPool()

    def suggestThreadPoolSize(self, size: int) -> None:
        """How many threads the pool may have at the most."""
        self.getThreadPool().adjustPoolsize(maxthreads=size)

    # Sockets

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Port:
        """Serves a site (`handwound.web.server.Site`) on a TCP port; 0 is one that is free, see `Port.getHost`.

        It listens from here on; connections are answered once the reactor runs. `interface` is an address of this
        machine, or '' for all there are; `backlog` is how many connections the system holds for us.

        Raises `CannotListenError`, and `ValueError` for what is no port.
        """
        if not 0 <= port <= 0xFFFF:
            raise ValueError("a port is a number from 0 to 65535, not %r" % (port,))
        loop = self._event_loop()
        self._bind(factory)
        try:
            number, host, bound = loop.listen_tcp(factory, interface, port, backlog)
        except OSError as failure:
            raise error.CannotListenError(interface, port, failure) from None
        address = IPv6Address("TCP", host, bound) if ":" in host else IPv4Address("TCP", host, bound)
        return Port(loop, number, address)

    def listenUNIX(self, address: str, factory: Any, backlog: int = 50, mode: Optional[int] = 0o666) -> Port:
        """Serves a site on a UNIX socket at a path, with these permissions; None leaves them to the umask.

        Raises `CannotListenError`.
        """
        loop = self._event_loop()
        self._bind(factory)
        try:
            number = loop.listen_unix(factory, address, mode, backlog)
        except OSError as failure:
            raise error.CannotListenError(address, -1, failure) from None
        return Port(loop, number, UNIXAddress(address))

    # Start and end

    @property
    def running(self) -> bool:
        """Whether the reactor runs; also while it stops."""
        return self._state in ("running", "stopping")

    def run(self, installSignalHandlers: bool = True) -> None:
        """Makes calls, and serves, until `stop`.

        On the main thread, Ctrl-C and SIGTERM stop the reactor in order, and a second one does so without patience;
        handlers that were there before are put back at the end. Without `installSignalHandlers`, what a handler raises,
        as KeyboardInterrupt, stops the reactor and is then raised here. So is what else is no `Exception`, as SystemExit,
        from a call.

        Raises `ReactorAlreadyRunning` or `ReactorNotRestartable`.
        """
        with self._lock:
            if self._state == "stopped":
                raise error.ReactorNotRestartable("this reactor has run and stopped; make another one")
            if self._state != "new":
                raise error.ReactorAlreadyRunning("this reactor runs already")
            self._state = "starting"
        self._thread = threading.get_ident()
        is_main = threading.current_thread() is threading.main_thread()
        before = self._install_handlers() if installSignalHandlers else {}
        try:
            self._events["startup"].fire(self._begin)
            self._make_calls(is_main)
        finally:
            self._state = "stopped"
            self._thread = None
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self) -> None:
        """Stops in order: connections may finish what they do, and so may the pool, for half a minute at the most.

        Raises `ReactorNotRunning` if the reactor does not run, or stops already.
        """
        with self._lock:
            if self._state not in ("starting", "running"):
                raise error.ReactorNotRunning("this reactor does not run, so that it cannot be stopped")
            self._state = "stopping"
        self._callbacks.post(self._events["shutdown"].fire, (self._end,))

    def crash(self) -> None:
        """Ends `run` at once: connections are cut, and no trigger of the shutdown is called."""
        with self._lock:
            self._state = "stopped"
        if self._loop is not None:
            self._loop.stop(0)
        self._callbacks.end()

    def addSystemEventTrigger(
        self, phase: str, eventType: str, callable: Callable[..., Any], *args: Any, **kw: Any
    ) -> Tuple[str, Trigger]:
        """Has a function called when an event comes: 'startup' or 'shutdown', or one of your own; in the phase 'before',
        'during' or 'after'.

        Before a shutdown everything is still open, and is kept so while a Deferred that such a function has returned has
        no result. During it, listeners and connections are closed; after it, only calls are still made.

        Returns a handle, for `removeSystemEventTrigger`. Raises `KeyError` for another phase.
        """
        trigger = Trigger(eventType, _checked(callable), args, kw)
        with self._lock:
            event = self._events.setdefault(eventType, Event())
        event.add(phase, trigger)
        return eventType, trigger

    def removeSystemEventTrigger(self, triggerID: Tuple[str, Trigger]) -> None:
        """Takes a function back that `addSystemEventTrigger` has added.

        Raises `ValueError` if it has been called or taken back.
        """
        event, trigger = triggerID
        self._events[event].remove(trigger)

    def fireSystemEvent(self, eventType: str) -> None:
        """Calls the functions that were added for an event of your own. Those for 'shutdown' are called by `stop`."""
        with self._lock:
            event = self._events.get(eventType)
        if event is not None:
            event.fire(lambda go_on: go_on())

    def sigInt(self, number: int, frame: Optional[FrameType] = None) -> None:
        """The handler of SIGINT while the reactor runs: stops it, and the second time without patience."""
        # On the main thread, in the middle of whatever it does: no lock may be taken here.
        self._callbacks.post(self._stop_for_signal, ())

    sigTerm = sigInt

    # What is behind it

    def _bind(self, factory: Any) -> None:
        """A site that was made for no reactor has its calls made by the first that serves it."""
        if getattr(factory, "_reactor", self) is None:
            factory._reactor = self

    def _event_loop(self) -> _native.EventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = _native.EventLoop()
                if self._state in ("running", "stopping"):
                    self._loop.start(self._callbacks, self._loop_ended)
            return self._loop

    def _begin(self, go_on: Callable[[], None]) -> None:
        with self._lock:
            if self._state == "starting":
                self._state = "running"
            if self._loop is not None:
                self._loop.start(self._callbacks, self._loop_ended)
        go_on()

    def _end(self, go_on: Callable[[], None]) -> None:
        self._go_on = go_on
        if self._loop is not None:
            self._loop.stop(None)
        else:
            self._loop_ended()

    def _loop_ended(self) -> None:
        go_on, self._go_on = self._go_on, None
        if go_on is not None:
            go_on()
        self._callbacks.end()

    def _stop_for_signal(self) -> None:
        try:
            self.stop()
        except error.ReactorNotRunning:
            self._events["shutdown"].hurry()
            if self._loop is not None:
                self._loop.stop(0)

    def _make_calls(self, is_main: bool) -> None:
        raised: Optional[BaseException] = None
        while True:
            try:
                self._callbacks.run(is_main)
            except BaseException as failure:
                if raised is not None:
                    self.crash()
                    raise
                raised = failure
                self._stop_for_signal()
            else:
                break
        if raised is not None:
            raise raised

    def _install_handlers(self) -> Dict[int, Any]:
        before: Dict[int, Any] = {}
        if threading.current_thread() is not threading.main_thread():
            return before
        # Somebody else's handler of Ctrl-C, as a debugger's, stays.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            before[signal.SIGINT] = signal.signal(signal.SIGINT, self.sigInt)
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self.sigTerm)
        return {number: handler for number, handler in before.items() if handler is not None}


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(function):
        raise TypeError("%r cannot be called" % (function,))
    return function
