"""Each seeded bug is found within its budget, and none in the corrected twins.

    python tests/simulate/bugs/run.py [--runs 300] [--all 100000] [NAME...]

Flask's and Django's are skipped, by name, where these are not installed. Exit status 1 where a bug was not found, was
found as something else, is not there in its replay, or where a twin failed.
"""

import argparse
import importlib
import importlib.util
import os
import re
import sys
import time
from typing import Any, List, NamedTuple, Optional, Tuple

FOLDER = os.path.dirname(os.path.abspath(__file__))
MODULES = (("flask_state", "flask"), ("flask_waits", "flask"), ("django_bugs", "django"))


class Outcome(NamedTuple):
    """What came of a bug and its twin."""

    name: str
    preempt: str
    budget: int
    found: str
    shrunk: str
    twin: str
    seconds: float
    complaint: Optional[str]


def found(bug: Any) -> Tuple[str, str, Optional[str]]:
    """In which run, how small it was made, and what is wrong with that."""
    from handwound import testing

    try:
        bug.with_bug()
    except testing.Failed as failed:
        what, message = failed.found, first_line(failed)
        if not re.search(bug.shows, message):
            return "ANOTHER", "", "was to show %r, and is another failure:\n%s" % (bug.shows, failed)
        run = "run %d, seed %s" % (what["runs"], what["origin"].replace("seed ", "").split(" ")[0])
        shrunk = "%d -> %d" % (what["choices"], what["shrunk_choices"])
        return run, shrunk, replayed(bug, what["replay"])
    return "MISSED", "", "was not found in %d runs" % bug.budget


def first_line(failed: Any) -> str:
    return str(failed.found.get("message", failed)).partition("\n")[0]


def replayed(bug: Any, replay: str) -> Optional[str]:
    """What is wrong with the run of a report's line, in another process: it has to fail in the same way."""
    from handwound import testing

    os.environ["HANDWOUND_REPLAY"] = replay
    try:
        bug.with_bug()
    except testing.Failed as failed:
        message = first_line(failed)
        return None if re.search(bug.shows, message) else "was found, and is another in its replay: %s" % failed
    finally:
        del os.environ["HANDWOUND_REPLAY"]
    return "was found, and is not there in its replay"


def passes(bug: Any, runs: int) -> Tuple[str, Optional[str]]:
    from handwound import testing

    try:
        bug.fixed()
    except testing.Failed as failed:
        return "FAILED", "the corrected twin failed:\n%s" % failed
    return "%d passed" % runs, None


def outcome(bug: Any, runs: int) -> Outcome:
    began = time.monotonic()
    run, shrunk, complaint = found(bug)
    twin, failure = passes(bug, runs)
    seconds = time.monotonic() - began
    return Outcome(bug.name, bug.preempt, bug.budget, run, shrunk, twin, seconds, complaint or failure)


def table(rows: List[List[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a bug; without any, all of them")
    parser.add_argument("--runs", type=int, default=300, help="of each corrected twin")
    parser.add_argument("--all", type=int, metavar="N", help="so many runs of all corrected twins together, instead")
    options = parser.parse_args()
    sys.path.insert(0, FOLDER)
    from handwound.testing import _parent

    why = _parent.why_not()
    if why is not None:
        print("SKIPPED the seeded bugs: %s" % why)
        return 0
    # Where modules are imported, here and in the processes of the simulations, this is read.
    os.environ["HANDWOUND_TWIN_RUNS"] = str(options.runs)
    for module, needs in MODULES:
        if importlib.util.find_spec(needs) is None:
            print("SKIPPED %s: %s is not installed (pip install %s)" % (module, needs, needs))
            continue
        version = getattr(importlib.import_module(needs), "VERSION", None)
        if needs == "django" and version < (5, 1):
            print("SKIPPED %s: it needs Django 5.1, which can say how SQLite's transactions begin" % module)
            continue
        importlib.import_module(module)
    from bug import BUGS

    unknown = set(options.names) - {bug.name for bug in BUGS}
    if unknown:
        parser.error("no such bug: %s" % ", ".join(sorted(unknown)))
    bugs = [bug for bug in BUGS if not options.names or bug.name in options.names]
    runs = options.runs if options.all is None else -(-options.all // max(1, len(bugs)))
    os.environ["HANDWOUND_TWIN_RUNS"] = str(runs)
    outcomes = []
    for bug in bugs:
        one = outcome(bug, runs)
        outcomes.append(one)
        print("%-28s %s, twin: %s" % (one.name, one.found, one.twin), flush=True)
        if one.complaint:
            print("  %s" % one.complaint, flush=True)
    heads = [["bug", "preempt", "budget", "found", "choices", "twin", "seconds"]]
    lines = [[o.name, o.preempt, str(o.budget), o.found, o.shrunk, o.twin, "%.1f" % o.seconds] for o in outcomes]
    missed = [one.name for one in outcomes if one.complaint]
    print("\n%s\n" % table(heads + lines))
    print("%d bugs, %d as claimed" % (len(bugs), len(bugs) - len(missed)))
    if missed:
        print("NOT: %s" % ", ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
