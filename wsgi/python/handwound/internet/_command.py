"""The reactor of a program that the command ``handwound web`` serves."""

import threading
from typing import Any, Callable, Tuple

from handwound import _native
from handwound.internet import error
from handwound.internet._events import Trigger
from handwound.internet.base import DelayedCall, Reactor


class CommandReactor(Reactor):
    """The command's own event loop and pool. Calls are made on a thread of their own, from the time on when the command
    serves; the thread is made when there is the first call."""

    def __init__(self, loop: _native.EventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._ended = False
        self._has_thread = False

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> DelayedCall:
        delayed = super().callLater(delay, callable, *args, **kw)
        self._need_thread()
        return delayed

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kw: Any) -> None:
        super().callFromThread(callable, *args, **kw)
        self._need_thread()

    def addSystemEventTrigger(
        self, phase: str, eventType: str, callable: Callable[..., Any], *args: Any, **kw: Any
    ) -> Tuple[str, Trigger]:
        handle = super().addSystemEventTrigger(phase, eventType, callable, *args, **kw)
        self._need_thread()
        return handle

    def run(self, installSignalHandlers: bool = True) -> None:
        """Raises `ReactorAlreadyRunning`: the command runs it."""
        raise error.ReactorAlreadyRunning("the command handwound runs this reactor; there is no need to")

    def stop(self) -> None:
        """Ends the command in order, as SIGTERM does."""
        self._event_loop().stop(None)

    def crash(self) -> None:
        """Ends the command without patience."""
        self._event_loop().stop(0)

    @property
    def running(self) -> bool:
        return self._event_loop().is_serving()

    def _need_thread(self) -> None:
        with self._lock:
            if self._has_thread:
                return
            self._has_thread = True
        # Not a daemon, as it would be by default where a worker asks: what is called at the shutdown is called before
        # Python ends.
        threading.Thread(target=self._thread_main, name="reactor calls", daemon=False).start()

    def _thread_main(self) -> None:
        if not _native.wait_for_command(self._callbacks, self._command_stops, self._command_ended):
            return
        self._thread = threading.get_ident()
        with self._lock:
            self._state = "running"
        self._events["startup"].fire(lambda go_on: go_on())
        while True:
            try:
                self._callbacks.run(False)
                break
            except BaseException as failure:
                # As in any thread: it ends nothing but the call.
                _native.log_error("a call ended with %r" % (failure,))
        self._state = "stopped"

    def _command_stops(self) -> None:
        self._state = "stopping"
        self._events["shutdown"].fire(self._wait_for_end)

    def _wait_for_end(self, go_on: Callable[[], None]) -> None:
        self._go_on = go_on
        if self._ended:
            self._finish()

    def _command_ended(self) -> None:
        self._ended = True
        # There is nothing left to be kept open.
        self._events["shutdown"].hurry()
        self._finish()

    def _finish(self) -> None:
        go_on, self._go_on = self._go_on, None
        if go_on is not None:
            go_on()
        self._callbacks.end()
