"""What is raised."""

from typing import Any, Dict, Optional


class Failed(AssertionError):
    """A simulated test has failed; the message is the whole report.

    ``found`` has its parts: ``message``, ``origin``, ``replay``, ``diagram``, ``waits``, ``runs``, ``shrink_runs``.
    """

    def __init__(self, report: str, found: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(report)
        self.found = found or {}


class Unsupported(RuntimeError):
    """Simulations do not work here; the message says why, and where they do."""


class NotSimulated(RuntimeError):
    """The program has called what a simulation does not cover; the message says what to use instead."""


class SimulationOver(SystemExit):
    """Ends threads that still wait when a run is over. Not to be caught."""
