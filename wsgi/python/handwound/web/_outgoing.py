"""What a request sends: in order, from any thread, and without making those wait that others wait for."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Optional

from handwound._native import ClientDisconnected

if TYPE_CHECKING:
    from handwound._native import Exchange

WAITING_BYTES_MAX = 16 << 20
"""What may wait for a slow client, of one response, beyond what the server itself keeps for it."""


class Outgoing:
    """The way of one response's body to its client.

    The thread that renders waits while a client is slow: that is what worker threads are for. Any other may be the one
    on which the reactor's calls run, which must not wait; what the client has no room for is kept then, and a worker
    sends it. At most `WAITING_BYTES_MAX` are kept: beyond that the response is cut.
    """

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._lock = threading.Lock()
        self._waiting: Deque[bytes] = deque()
        self._bytes = 0
        self._busy = False
        self._end: Optional[Callable[[], None]] = None
        self._patient: Optional[int] = None
        self.on_room: Optional[Callable[[], Any]] = None
        """Called once, on a worker, when what waits has been sent."""

    def wait_here(self, patient: bool = True) -> None:
        """From here on this thread waits in `write`; or no longer."""
        self._patient = threading.get_ident() if patient else None

    def write(self, data: bytes) -> bool:
        """Sends `data`. Whether the client has room for more; if not, `on_room` will be called."""
        try:
            if self._patient == threading.get_ident():
                self._exchange.write(data)
                return True
            with self._lock:
                if not self._busy and self._exchange.try_write(data):
                    return True
                self._waiting.append(data)
                self._bytes += len(data)
                too_much = self._bytes > WAITING_BYTES_MAX
                begin, self._busy = not self._busy, True
            if too_much:
                self._give_up()
            elif begin:
                self._exchange.call_in_thread(self._drain)
            return False
        except ClientDisconnected:
            # Nobody reads it; who wants to know asks notifyFinish.
            return True

    def finish(self, end: Callable[[], None]) -> None:
        """Calls `end` when all has been sent: now, or on a worker."""
        with self._lock:
            if self._busy:
                self._end = end
                return
        end()

    def _drain(self) -> None:
        """Runs on a worker."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    end, self._end = self._end, None
                    on_room, self.on_room = self.on_room, None
                    break
                data = self._waiting.popleft()
            try:
                self._exchange.write(data)
            except Exception:
                # The client has left, or the response has ended otherwise.
                self._forget()
            with self._lock:
                self._bytes = max(0, self._bytes - len(data))
        if end is not None:
            end()
        elif on_room is not None:
            on_room()

    def _give_up(self) -> None:
        self._forget()
        self._exchange.fail(
            "more than %d bytes wait for a client that reads slowly; write less at once, or register a producer"
            % (WAITING_BYTES_MAX,)
        )

    def _forget(self) -> None:
        with self._lock:
            self._waiting.clear()
            self._bytes = 0
