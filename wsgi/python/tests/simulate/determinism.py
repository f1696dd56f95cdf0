"""The same seed gives the same run: a thousand times in a process, in several processes, and on a busy machine.

    python tests/simulate/determinism.py [--runs 1000] [--processes 5] [--seed 7]

For a plain application, one with Flask and one with Django; those that are not installed are skipped, by name.
"""

import argparse
import atexit
import collections
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, Iterator, List

from handwound import testing

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "bugs"))

RUNS = int(os.environ.get("HANDWOUND_RUNS", "1000"))
SEED = int(os.environ.get("HANDWOUND_SAME_SEED", "7"))


class Hashes:
    """Those of all runs. Not plain data, which each run would find as it was at first."""

    def __init__(self) -> None:
        self.all: List[int] = []

    def write(self) -> None:
        if "HANDWOUND_HASHES" in os.environ and self.all:
            with open(os.environ["HANDWOUND_HASHES"], "w") as file:
                # Runs that warm up come before those of the seed.
                json.dump(collections.Counter(self.all[-RUNS:]), file)


HASHES = Hashes()
atexit.register(HASHES.write)
made: Dict[str, Any] = {}


def app(environ: Any, start_response: Any) -> Any:
    return made["app"](environ, start_response)


def plain() -> None:
    visits = {"n": 0}

    def save(n: int) -> None:
        time.sleep(0.01)
        visits["n"] = n

    def counter(environ: Any, start_response: Any) -> Any:
        save(visits["n"] + 1)
        start_response("200 OK", [])
        return [b"saved"]

    made["app"] = counter


def with_flask() -> None:
    import flask_state

    made["app"] = flask_state.make_counter(False)


def with_django() -> None:
    import django_bugs

    made["app"] = django_bugs.make_stock(False)


def three(sim: Any, method: str, path: str) -> None:
    exchanges = [sim.request(method, path) for _ in range(3)]
    sim.settle()
    assert [one.status for one in exchanges] == [200, 200, 200]
    HASHES.all.append(sim.trace_hash)


@testing.simulate(app, workers=3, seeds=[SEED] * RUNS, network="rough", setup=plain)
def counter(sim: Any) -> None:
    three(sim, "GET", "/")


@testing.simulate(app, workers=3, seeds=[SEED] * RUNS, network="rough", setup=with_flask)
def flask(sim: Any) -> None:
    three(sim, "GET", "/visit")


@testing.simulate(app, workers=3, seeds=[SEED] * RUNS, network="rough", setup=with_django)
def django(sim: Any) -> None:
    three(sim, "POST", "/buy")


def hashes(test: Any, runs: int, seed: int) -> Dict[str, int]:
    """The hashes of all runs of a process, with how often each came."""
    with tempfile.NamedTemporaryFile("r") as file:
        os.environ.update(HANDWOUND_HASHES=file.name, HANDWOUND_RUNS=str(runs), HANDWOUND_SAME_SEED=str(seed))
        test()
        return dict(json.load(file))


class Load:
    """Twice as many processes as there are processors, which do nothing but run."""

    def __enter__(self) -> None:
        command = [sys.executable, "-c", "while True: pass"]
        self.processes = [subprocess.Popen(command) for _ in range(2 * (os.cpu_count() or 1))]

    def __exit__(self, *error: Any) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def tries(test: Any, options: argparse.Namespace) -> Iterator[Dict[str, int]]:
    for _ in range(options.processes):
        yield hashes(test, options.runs, options.seed)
    with Load():
        yield hashes(test, options.runs, options.seed)


def check(test: Any, options: argparse.Namespace) -> bool:
    found = list(tries(test, options))
    different = sorted(set().union(*found))
    others = hashes(test, 1, options.seed + 1)
    count = sum(sum(one.values()) for one in found)
    print("%-8s %d runs in %d processes, the last on a busy machine: " % (test.__name__, count, len(found)), end="")
    if len(different) > 1:
        print("DIFFERENT: %s" % found)
    elif different[0] in others:
        print("the same, and so is another seed's: THIS COMPARES NOTHING")
    else:
        print("all the same, %s" % different[0], flush=True)
    return len(different) == 1 and different[0] not in others


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="in each process")
    parser.add_argument("--processes", type=int, default=5, help="one after the other, and one more on a busy machine")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    passed = True
    for test, needs in ((counter, None), (flask, "flask"), (django, "django")):
        if needs and importlib.util.find_spec(needs) is None:
            print("%-8s SKIPPED: %s is not installed" % (test.__name__, needs))
            continue
        try:
            passed = check(test, options) and passed
        except testing.Failed as report:
            passed = False
            print("%-8s FAILED\n%s" % (test.__name__, report))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
