"""Seeded concurrency bugs: small applications with one bug each, and the same applications without it."""

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from types import FunctionType
from typing import Any, Callable, List, NamedTuple

from handwound import testing

# How many runs a corrected twin has to pass.
TWIN_RUNS = int(os.environ.get("HANDWOUND_TWIN_RUNS", "300"))
# Files of the applications, at the same place in each run.
FOLDER = tempfile.mkdtemp(prefix="handwound_bugs_")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


class Bug(NamedTuple):
    """What is claimed of a bug."""

    name: str
    about: str
    #: In how many runs it is found.
    budget: int
    preempt: str
    #: What its failure says; another failure does not count as found.
    shows: str
    with_bug: Callable[[], None]
    fixed: Callable[[], None]


BUGS: List[Bug] = []


def bug(
    make_app: Callable[[bool], Any], *, budget: int, preempt: str, shows: str, workers: int = 2
) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """Makes two simulated tests of a function: ``name``, of ``make_app(False)``, and ``name_fixed``, of the other.

    The application is made anew for each run.
    """

    def decorate(check: Callable[[Any], None]) -> Callable[[], None]:
        module = sys.modules[check.__module__]

        def simulated(name: str, fixed: bool, seeds: int) -> Callable[[], None]:
            # A function of its own, with its own name, so that reports name what can be run again.
            test = FunctionType(check.__code__, check.__globals__, name)
            test.__qualname__, test.__doc__ = name, check.__doc__
            made: List[Any] = []

            def setup() -> None:
                made[:] = [make_app(fixed)]

            def app(environ: Any, start_response: Any) -> Any:
                return made[0](environ, start_response)

            watch = [str(module.__file__)]
            how = testing.simulate(app, workers=workers, seeds=seeds, preempt=preempt, setup=setup, watch=watch)
            return how(test)

        name = check.__name__
        with_bug = simulated(name, False, budget)
        fixed = simulated(name + "_fixed", True, TWIN_RUNS)
        setattr(module, name + "_fixed", fixed)
        about = " ".join((check.__doc__ or "").split())
        BUGS.append(Bug(name, about, budget, preempt, shows, with_bug, fixed))
        return with_bug

    return decorate


def answered(*exchanges: Any) -> List[int]:
    """The statuses of responses; an AssertionError that tells who waits for what where one has not come."""
    return [exchange.status for exchange in exchanges]


def ask(sim: Any, path: str, **how: Any) -> Any:
    """A request when all before are done, and its response."""
    exchange = sim.get(path, **how)
    sim.settle()
    return exchange.response


def fresh(name: str, template: str = "") -> str:
    """The path of a file, which does not exist yet or is a copy of ``template``.

    It is a new file each time: what a thread of an earlier run still has open and locked is another one.
    """
    path = os.path.join(FOLDER, name)
    for old in (path, path + "-journal"):
        # Not asked for first: each run does the same, whatever the one before has left.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old)
    if template:
        shutil.copyfile(template, path)
    return path
