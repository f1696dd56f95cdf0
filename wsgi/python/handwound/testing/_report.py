"""What is told of a test that has failed."""

import os
import re
import stat
import tempfile
from typing import Any, Callable, Dict, List, Optional

from handwound.testing._options import Options
from handwound.testing._sim import tells

# Lines of what the program wrote in the run.
WRITTEN_LINES = 40

LABELS = {
    "gates": "threads were changed only where they wait or let go of the interpreter by themselves: any CPython may do this",
    "gil": "threads were changed only where this version of CPython may do so",
    "opcode": "threads were changed after any instruction: a Python without the interpreter lock may do this, and one that"
    " has it need not",
}


def text(function: Callable[..., Any], options: Options, found: Dict[str, Any], written: str) -> str:
    lines: List[str] = []
    first, _, rest = found["message"].partition("\n")
    lines.append("FAILED in run %d, %s: %s" % (found["runs"], origin(found["origin"]), first))
    if found.get("replay"):
        lines.append(
            "shrunk from %d choices to %d in %d runs; %s"
            % (found["choices"], found["shrunk_choices"], found["shrink_runs"], LABELS[options.preempt])
        )
    if rest.strip():
        lines += ["", rest.rstrip()]
    # Where nobody waits who has begun something, only what happened is worth telling.
    waits = tells(found.get("waits", ""))
    # Elsewhere the message has a traceback.
    is_stuck = first.startswith("the test waits")
    sections = [
        ("what happened:", "diagram", True),
        ("who waits for what:", "waits", waits),
        ("where the test waits:", "place", is_stuck),
        ("where the other threads are:" if is_stuck else "where the threads are:", "stacks", waits or is_stuck),
    ]
    for title, key, is_worth_it in sections:
        if is_worth_it and found.get(key, "").strip():
            lines += ["", title, "", found[key].rstrip()]
    output = written.rstrip().splitlines()
    if output:
        cut = ["... %d lines more" % (len(output) - WRITTEN_LINES)] if len(output) > WRITTEN_LINES else []
        lines += ["", "what the program wrote:", ""] + ["  " + line for line in cut + output[-WRITTEN_LINES:]]
    lines += [""] + ["note: %s" % note for note in found.get("notes", [])]
    if found.get("timeline"):
        lines.append("all of it, to be opened in a browser: %s" % found["timeline"])
    if found.get("replay"):
        lines += ["to have this run again:", "  " + command(function, found["replay"])]
    return "\n".join(lines)


def timeline(function: Callable[..., Any], page: Optional[str]) -> Optional[str]:
    """Writes the page of a run, unless HANDWOUND_TIMELINE is ``off``; where to."""
    asked = os.environ.get("HANDWOUND_TIMELINE", "")
    if page is None or asked.lower() in ("off", "0", "no", "false"):
        return None
    try:
        # Where there is no such folder at all, this says so by an exception.
        folder = asked or own_folder()
        # With its parameters, which pytest has in brackets.
        name = "%s.%s%s" % (function.__module__, function.__qualname__, "".join(node().partition("[")[1:]))
        name = re.sub(r"[^\w.-]+", "-", name)
        file = folder if folder.endswith(".html") else os.path.join(folder, name + ".html")
        os.makedirs(os.path.dirname(os.path.abspath(file)), exist_ok=True)
        with open(file, "w", encoding="utf-8") as output:
            output.write(page)
    except OSError as error:
        return "not written: %s" % error
    return os.path.abspath(file)


def own_folder() -> str:
    """A folder for this user's pages: what others have put into the place of one could lead anywhere."""
    folder = os.path.join(tempfile.gettempdir(), "handwound-%d" % os.getuid())
    os.makedirs(folder, mode=0o700, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise OSError("%s is not this user's folder; set HANDWOUND_TIMELINE to another" % folder)
    return folder


def origin(text: str) -> str:
    # As Rust's tests are told; here there is an option.
    return text.split(" (HANDWOUND_SEED", 1)[0]


def node() -> str:
    """The test as pytest names it; elsewhere nothing."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rsplit(" ", 1)[0]


def command(function: Callable[..., Any], replay: str) -> str:
    own = os.path.relpath(function.__code__.co_filename)
    file, _, test = node().partition("::")
    if test:
        # Pytest tells it from its root, which need not be where it was started.
        if not os.path.exists(file) and os.path.basename(file) == os.path.basename(own):
            file = own
        return "pytest '%s::%s' --handwound-replay=%s" % (file, test, replay)
    return "python -m handwound.testing %s::%s --replay=%s" % (own, function.__name__, replay)
