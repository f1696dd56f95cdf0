"""System events: what is called before, during and after the start and the end of a reactor."""

from __future__ import annotations

import threading
import traceback
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from handwound import _native

_Continue = Callable[[], None]


class Trigger:
    """A function that an event will call."""

    def __init__(self, event: str, function: Callable[..., Any], args: Tuple[Any, ...], kw: Mapping[str, Any]) -> None:
        self.event = event
        self.function = function
        self.args = args
        self.kw = kw

    def call(self) -> Any:
        """Calls it. What it raises is logged."""
        try:
            return self.function(*self.args, **self.kw)
        except Exception:
            _native.log_error("a trigger of %s raised:\n%s" % (self.event, traceback.format_exc().rstrip()))
            return None


class Event:
    """The triggers of one event. Each is called once; `before` may put the rest off by returning Deferreds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._triggers: Dict[str, List[Trigger]] = {"before": [], "during": [], "after": []}
        self._waiting = 0
        self._go_on: Optional[_Continue] = None

    def add(self, phase: str, trigger: Trigger) -> None:
        """Adds a trigger at the end of a phase."""
        if phase not in self._triggers:
            raise KeyError("the phases of an event are 'before', 'during' and 'after', not %r" % (phase,))
        with self._lock:
            self._triggers[phase].append(trigger)

    def remove(self, trigger: Trigger) -> None:
        """Takes a trigger back.

        Raises `ValueError` if it has been called or taken back before.
        """
        with self._lock:
            for triggers in self._triggers.values():
                if trigger in triggers:
                    triggers.remove(trigger)
                    return
        raise ValueError("this trigger has been called or removed already")

    def fire(self, middle: Callable[[_Continue], None]) -> None:
        """Calls the triggers before; once their Deferreds have results, those during; then `middle`, with what is to be
        called when those after may follow."""

        def finish() -> None:
            self._call("after")

        def go_on() -> None:
            self._call("during")
            middle(finish)

        deferreds = [result for result in self._call("before") if hasattr(result, "addBoth")]
        if not deferreds:
            go_on()
            return
        self._waiting = len(deferreds)
        self._go_on = go_on
        for deferred in deferreds:
            deferred.addBoth(self._one_less)

    def hurry(self) -> None:
        """Waits for no Deferred any more."""
        go_on, self._go_on = self._go_on, None
        if go_on is not None:
            go_on()

    def _one_less(self, result: Any) -> Any:
        self._waiting -= 1
        if self._waiting == 0:
            self.hurry()
        return result

    def _call(self, phase: str) -> List[Any]:
        results: List[Any] = []
        while True:
            with self._lock:
                if not self._triggers[phase]:
                    return results
                # Taken out first: a trigger may add others, and look whether it is there itself.
                trigger = self._triggers[phase].pop(0)
            results.append(trigger.call())
