"""Runs the simulated tests of this folder, with nothing but Python and handwound: ``python run.py [NAME...]``.

Those in ``test_*.py`` have to pass; those in ``failing_*.py`` have to fail, with a report that has all their texts. With
names, only tests and files whose names have one of them in it.
"""

import glob
import importlib
import os
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
# Of real time, for one test with all its runs. What waits for real does not get through.
SECONDS_MAX = 60


def late(number, frame):
    raise TimeoutError("took more than %d seconds of real time" % SECONDS_MAX)


def tests(wanted):
    """Name, function, and the texts with which it has to fail (None: it has to pass)."""
    for kind in ("test", "failing"):
        for path in sorted(glob.glob(os.path.join(HERE, kind + "_*.py"))):
            module = os.path.splitext(os.path.basename(path))[0]
            functions = vars(importlib.import_module(module)).copy()
            for name, function in functions.items():
                full = "%s::%s" % (module, name)
                if hasattr(function, "handwound_simulation") and (not wanted or any(one in full for one in wanted)):
                    yield full, function, None if kind == "test" else function.reports


def wrong(function, reports):
    """What is wrong with the outcome of a test, or None."""
    from handwound import testing

    signal.alarm(SECONDS_MAX)
    try:
        function()
    except testing.Failed as failed:
        report = str(failed)
        if reports is None:
            return report
        missing = [text for text in reports if text not in report]
        return "its report does not say %s:\n%s" % (missing, report) if missing else None
    except Exception:
        return traceback.format_exc()
    finally:
        signal.alarm(0)
    return None if reports is None else "it passed, and should fail"


def main(wanted):
    from handwound.testing import _parent

    why = _parent.why_not()
    if why is not None:
        print("SKIPPED the simulated tests: %s" % why)
        return 0
    sys.path.insert(0, HERE)
    signal.signal(signal.SIGALRM, late)
    count, bad = 0, []
    for name, function, reports in tests(wanted):
        began = time.monotonic()
        what = wrong(function, reports)
        count += 1
        print("%s %s (%.1f s)" % ("ok  " if what is None else "WRONG", name, time.monotonic() - began), flush=True)
        if what is not None:
            bad.append(name)
            print("    " + what.replace("\n", "\n    "), flush=True)
    if not count:
        print("no such test")
        return 2
    print("Python %s: %d simulated tests, %d wrong" % (sys.version.split()[0], count, len(bad)), *bad, sep="\n  ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
