"""What a request sends: in order, from any thread, and without making those wait that others wait for."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Optional, Set

from handwound._native import ClientDisconnected

if TYPE_CHECKING:
    from handwound._native import Exchange

WAITING_BYTES_MAX = 16 << 20
"""When as much waits for a slow client, of one response, beyond what the server itself keeps for it, no more may."""


class TooMuch(Exception):
    """A client reads more slowly than the resource writes."""


class Outgoing:
    """The way of one response's body to its client.

    The thread that renders waits while a client is slow: that is what worker threads are for. Any other may be the one
    on which the reactor's calls run, which must not wait; what the client has no room for is kept then, and a worker
    sends it. What is written while `WAITING_BYTES_MAX` wait already is not kept: the response is to be cut.
    """

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._lock = threading.Lock()
        self._waiting: Deque[bytes] = deque()
        self._bytes = 0
        self._busy = False
        self._end: Optional[Callable[[], None]] = None
        self._patient: Set[int] = set()
        self._on_room: Optional[Callable[[], Any]] = None

    def wait_here(self, patient: bool = True) -> None:
        """From here on this thread waits in `write`; or no longer."""
        # Another thread may do so at the same time: one that renders, and one that asks a producer.
        with self._lock:
            (self._patient.add if patient else self._patient.discard)(threading.get_ident())

    def write(
        self, data: bytes, on_full: Optional[Callable[[], Any]] = None, on_room: Optional[Callable[[], Any]] = None
    ) -> None:
        """Sends `data`. If the client has no room for it, calls `on_full`, and when all has been sent, on a worker,
        `on_room`.

        Raises `TooMuch`.
        """
        try:
            with self._lock:
                # What waits comes first.
                is_patient = not self._busy and threading.get_ident() in self._patient
                if not is_patient and not self._busy and self._exchange.try_write(data):
                    return
            if is_patient:
                self._exchange.write(data)
                return
        except ClientDisconnected:
            # Nobody reads it; who wants to know asks notifyFinish.
            return
        if on_full is not None:
            # Before a worker can find that there is room again.
            on_full()
        with self._lock:
            too_much = self._bytes >= WAITING_BYTES_MAX
            if not too_much:
                self._waiting.append(data)
                self._bytes += len(data)
                begin, self._busy = not self._busy, True
                self._on_room = on_room
        if too_much:
            self._forget()
            raise TooMuch(
                "more than %d bytes wait for a client that reads slowly; write less at once, or register a producer"
                % (WAITING_BYTES_MAX,)
            )
        if begin:
            self._exchange.call_in_thread(self._drain)

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
                    on_room, self._on_room = self._on_room, None
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

    def _forget(self) -> None:
        with self._lock:
            self._waiting.clear()
            self._bytes = 0
