"""Where threads are in their Python code, for reports."""

import os
import sys
import threading
import traceback
from typing import Any, Iterable, List, Tuple

# Of each thread, from where it waits outwards.
FRAMES_MAX = 8
THREADS_MAX = 20
OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
# With these each thread begins.
BEGINNINGS = ("_bootstrap", "_bootstrap_inner")


def texts(ended: BaseException) -> Tuple[str, str]:
    """Where this exception has ended the calling thread, and where the others are."""
    return "\n".join(shown(traceback.extract_tb(ended.__traceback__), "  ")), "\n".join(others())


def others() -> List[str]:
    lines: List[str] = []
    # Not by threading.enumerate: whoever has its lock may be one of them.
    names = {ident: thread.name for ident, thread in threading._active.copy().items()}  # type: ignore[attr-defined]
    frames = [one for one in sys._current_frames().items() if one[0] != threading.get_ident()]
    # The oldest first, as threads have been entered there.
    order = list(names)
    frames.sort(key=lambda one: order.index(one[0]) if one[0] in names else len(order))
    for ident, frame in frames[:THREADS_MAX]:
        where = shown(traceback.extract_stack(frame), "    ")
        # A worker without a job has none.
        lines += ["  " + names.get(ident, "a thread"), *where] if where else []
    if len(frames) > THREADS_MAX:
        lines.append("  and %d more" % (len(frames) - THREADS_MAX))
    return lines


def shown(frames: Iterable[Any], margin: str) -> List[str]:
    wanted = [
        frame
        for frame in frames
        if not os.path.abspath(frame.filename).startswith(OWN)
        and not (frame.name in BEGINNINGS and frame.filename == threading.__file__)
    ]
    return [
        "%s%s:%s (%s)  %s" % (margin, os.path.basename(frame.filename), frame.lineno, frame.name, frame.line or "")
        for frame in wanted[-FRAMES_MAX:]
    ]
