"""Tests of the package handwound. They run in the Python that the command embeds, and against an installed wheel."""

from __future__ import annotations

import threading
import unittest
from typing import Any, Callable, List

import handwound
from handwound.internet.base import Reactor

# Longer than anything takes that works.
DEADLINE = 20

EMBEDDED = (handwound.__file__ or "").startswith("<embedded>")


class Late(Exception):
    """Something did not happen."""


def run(setup: Callable[[Reactor], Any]) -> Reactor:
    """Runs a new reactor on this thread, from `setup` to its stop."""
    reactor = Reactor()
    failed: List[BaseException] = []

    def give_up() -> None:
        failed.append(Late("the reactor was not stopped"))
        reactor.crash()

    def begin() -> None:
        try:
            setup(reactor)
        except BaseException as failure:
            failed.append(failure)
            reactor.crash()

    reactor.callLater(DEADLINE, give_up)
    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)
    if failed:
        raise failed[0]
    return reactor


class TestCase(unittest.TestCase):
    """With waits that end."""

    def wait(self, event: threading.Event) -> None:
        """Waits for an event."""
        self.assertTrue(event.wait(DEADLINE), "nothing happened")
