"""What the pages of all applications share: contents, streams, and places where requests meet. Knows no framework."""

import tempfile
import threading

#: Longer than anything takes that works.
SECONDS_MAX = 20

LARGE = b"0123456789abcde\n" * 18750

#: One piece of `/huge` and of `/endless`.
PIECE = bytes(range(256)) * 256

#: What `/huge` has of it: 24 MiB in all.
PIECES = 384


def a_file():
    """A file of 1.5 MB, gone when the process ends."""
    made = tempfile.NamedTemporaryFile(prefix="handwound-test-", suffix=".bin")
    made.write(PIECE * 24)
    made.flush()
    return made


FILE = a_file()


def stream():
    """What `/stream` sends."""
    return (b"chunk %d\n" % n for n in range(50))


def huge():
    """What `/huge` sends."""
    return (PIECE for _ in range(PIECES))


#: As many requests must be in the application at once for any to be answered.
meeting = threading.Barrier(3)


def meet():
    """Waits for the two others."""
    meeting.wait(SECONDS_MAX)
    return "met"


#: Set by `/drip/go`.
go_on = threading.Event()


def drip():
    """A piece, and a second one when the client has asked for it on another connection."""
    yield b"first\n"
    asked = go_on.wait(SECONDS_MAX)
    go_on.clear()
    yield b"second\n" if asked else b"nobody asked\n"


#: Set when an endless stream was closed.
closed = threading.Event()


def endless():
    """Pieces until somebody closes this."""
    try:
        while True:
            yield PIECE
    finally:
        closed.set()


def was_closed():
    """Whether an endless stream has been closed, or is soon."""
    came = closed.wait(SECONDS_MAX)
    closed.clear()
    return came
