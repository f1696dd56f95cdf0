"""The process that simulates: this module runs a test there, run after run."""

import errno
import faulthandler
import gc
import importlib
import importlib.util
import io
import itertools
import json
import linecache
import os
import random
import sys
import threading
import time
import traceback
import unittest
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Tuple

from handwound.testing import _guard, _preempt, _report, _stacks
from handwound.testing._errors import Failed, SimulationOver
from handwound.testing._options import Options
from handwound.testing._rewind import Rewind
from handwound.testing._sim import Sim

# Before the number of the descriptor that stands for the library.
PRELOADED = "/proc/self/fd/"
# What pytest's and unittest's tests raise that do not want to run.
SKIPS = ("Skipped", "SkipTest")
# Garbage is collected between runs, not in them, after so many.
COLLECT_EVERY = 20
# How often the watchdog is wound, in seconds of real time.
REWIND_SECONDS = 1.0


def prepare() -> Optional[int]:
    """The descriptor for what is found, in a process that was started to simulate. What this process starts, from the very
    beginning, is an ordinary process again: it has the environment that was there before."""
    results = os.environ.pop("HANDWOUND_SIMULATES", None)
    if results is None:
        return None
    os.environ.pop("HANDWOUND_SYS_PATH", None)
    preloaded = os.environ.pop("LD_PRELOAD", "").replace(":", " ").split()
    others = [name for name in preloaded if not name.startswith(PRELOADED)]
    if others:
        os.environ["LD_PRELOAD"] = " ".join(others)
    for name in set(preloaded) - set(others):
        # It has been loaded, and is not needed as a file.
        os.close(int(name[len(PRELOADED):]))
    os.set_inheritable(int(results), False)
    return int(results)


RESULTS = prepare()


def is_here() -> bool:
    """Whether this is a process that simulates."""
    return RESULTS is not None


def explore(function: Callable[..., Any], options: Options, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
    """Runs a test as its options say.

    Raises Failed.
    """
    __tracebackhide__ = True
    options.override()
    runs = Runs(function, options, args, kwargs)
    found = runs.explore()
    if "message" in found:
        found["timeline"] = _report.timeline(function, found.pop("timeline", None))
        found["place"], found["stacks"] = runs.stacks
        found["report"] = _report.text(function, options, found, runs.written)
    elif runs.skipped is not None:
        found["skipped"] = runs.skipped
    tell(found)
    if "report" in found:
        raise Failed(found["report"], found)
    if "skipped" in found:
        raise unittest.SkipTest(found["skipped"])


def tell(found: Dict[str, Any]) -> None:
    """To the process that has started this one."""
    line = json.dumps(found) + "\n"
    if RESULTS is not None:
        os.write(RESULTS, line.encode())


class Runs:
    """The runs of one test."""

    def __init__(self, function: Callable[..., Any], options: Options, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
        self.function, self.options, self.args, self.kwargs = function, options, args, kwargs
        self.count = 0
        # What the last run wrote, and where it and its threads were when it failed.
        self.written = ""
        self.stacks = "", ""
        # Why the test does not want to run.
        self.skipped: Optional[str] = None
        self.wound = 0.0
        modules = [function.__module__, getattr(options.app, "__module__", None), *options.rewind]
        self.rewind = Rewind([sys.modules.get(one, one) if isinstance(one, str) else one for one in modules if one])
        self.preempt = _preempt.of(options, [function, options.app])

    def explore(self) -> Dict[str, Any]:
        from handwound import _native

        options = self.options
        _native.install_shadow()
        _native.set_over(SimulationOver)
        _guard.install()
        gc.collect()
        gc.freeze()
        collects = gc.isenabled()
        gc.disable()
        how = "replay" if options.replay else options.search
        app = None if options.app is None else self.served(options.app)
        self.preempt.begin()
        # A list: what threads are hashed by changes.
        before = threading.enumerate()
        try:
            return dict(_native.explore(
                self.one, app, options.workers, how, options.given, options.depth, options.replay or "",
                options.runs_max, options.shrink_runs_max, options.twice, options.network == "rough",
            ))
        finally:
            self.preempt.end()
            let_go_of_threads(before)
            faulthandler.cancel_dump_traceback_later()
            gc.unfreeze()
            if collects:
                gc.enable()

    def served(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """The application, whose errors go where the test's output goes."""

        def application(environ: Dict[str, Any], start_response: Callable[..., Any]) -> Any:
            environ["wsgi.errors"] = sys.stderr
            try:
                return app(environ, start_response)
            except Exception:
                traceback.print_exc(file=sys.stderr)
                raise

        return application

    def one(self, world: Any) -> Optional[str]:
        """One run, which takes part in the simulation already: its clock is the simulation's. Why it failed, or None."""
        from handwound import _native

        self.begin()
        self.stacks = "", ""
        output = io.StringIO()
        streams = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = output
        _guard.active = True
        try:
            if self.options.setup is not None:
                self.options.setup()
            try:
                sim = Sim(world)
                self.function(*self.args, sim, **self.kwargs)
                sim._end()
            except OSError as error:
                if error.errno == errno.ECANCELED:
                    take_note()
                raise
        except KeyboardInterrupt:
            os._exit(130)
        except SimulationOver as over:
            # A wait of the test's own cannot end. The simulation says so; here is where it was.
            ended = over.__context__ if isinstance(over.__context__, OSError) else over
            self.stacks = _native.for_real(lambda: _stacks.texts(ended))
            raise
        except BaseException as error:
            if type(error).__name__ in SKIPS:
                self.skipped = str(error) or "no reason was given"
                return None
            # The test is over; reading its source for the traceback is no part of it.
            failed = error
            self.stacks = _native.for_real(lambda: _stacks.texts(failed))
            return str(_native.for_real(lambda: told(failed)))
        finally:
            _guard.active = False
            sys.stdout, sys.stderr = streams
            self.written = output.getvalue()
        return None

    def begin(self) -> None:
        from handwound import _native

        self.count += 1
        if self.count % COLLECT_EVERY == 0:
            # What earlier runs have left ends here, and not in this one.
            _native.for_real(gc.collect)
        # Whether a traceback reads a file must not depend on those before.
        linecache.clearcache()
        self.rewind.apply()
        random.seed(0)
        number_threads_anew()
        self.wind()

    def wind(self) -> None:
        """Keeps the watchdog from barking: it is no part of the simulation, and runs on real time."""
        from handwound import _native

        now = _native.for_real(time.monotonic)
        if now - self.wound >= REWIND_SECONDS or self.count == 1:
            self.wound = now
            _native.for_real(lambda: faulthandler.dump_traceback_later(self.options.watchdog, exit=True, file=sys.__stderr__ or 2))


def take_note() -> None:
    """A thread that has been told to end notes it where it calls a function, as here: a call of C only fails at first."""


def told(error: BaseException) -> str:
    """An exception of a test: first in one line what it is and where, then its traceback."""
    below = error.__traceback__.tb_next if error.__traceback__ else None
    lines = traceback.format_exception(type(error), error, below)
    frames = traceback.extract_tb(below)
    what = traceback.format_exception_only(type(error), error)[-1].strip()
    if frames:
        last = frames[-1]
        if not str(error):
            what = "%s: %s" % (type(error).__name__, last.line)
        what = "%s (%s:%s in %s)" % (what.splitlines()[0], os.path.basename(last.filename), last.lineno, last.name)
    return "%s\n%s" % (what, "".join(lines))


_numbers = itertools.count()


def hash_of_thread(thread: threading.Thread) -> int:
    """Threads are hashed by when that was asked first, and not by their address: executors join them in the order of a
    set."""
    number = thread.__dict__.get("_handwound_number")
    if number is None:
        number = thread.__dict__["_handwound_number"] = next(_numbers)
    return int(number)


def let_go_of_threads(before: List[threading.Thread]) -> None:
    """Threads that have not ended with their run, as those that catch whatever is raised, stand still for good: the
    process does not wait for them when it ends."""
    active: Dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]
    for thread in active.copy().values():
        if thread in before or thread.daemon:
            continue
        # Up to 3.12, and from 3.13 on.
        if hasattr(threading, "_shutdown_locks"):
            threading._shutdown_locks.discard(getattr(thread, "_tstate_lock", None))
        elif hasattr(threading, "_thread_shutdown"):
            threading._thread_shutdown = lambda: None
        executors = sys.modules.get("concurrent.futures.thread")
        if executors is not None:
            executors._threads_queues.pop(thread, None)


def number_threads_anew() -> None:
    """Thread-1, Thread-2 and so on begin at 1 in each run."""
    global _numbers
    _numbers = itertools.count()
    threading.Thread.__hash__ = hash_of_thread  # type: ignore[assignment]
    # A thread that Python has not started may be given the number in memory of one of the run before, and is then taken
    # for it.
    active: Dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]
    for number, thread in list(active.items()):
        if isinstance(thread, threading._DummyThread):
            del active[number]
    if hasattr(threading, "_counter"):
        threading._counter = itertools.count(1).__next__
    executors = sys.modules.get("concurrent.futures.thread")
    if executors is not None:
        executors.ThreadPoolExecutor._counter = itertools.count().__next__


def load(file: str) -> ModuleType:
    """The module in a file, under its own name and not ``__main__``; it finds what lies beside it."""
    folder, name = os.path.split(os.path.abspath(file))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = os.path.splitext(name)[0]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not os.path.exists(file):
        raise SystemExit("%s is no file of Python" % file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main(file: str, module: str, name: str) -> int:
    """Runs the test `name` of a module: without pytest."""
    loaded = load(file) if module == "__main__" else importlib.import_module(module)
    try:
        getattr(loaded, name)()
    except Failed:
        return 1
    except unittest.SkipTest:
        pass
    return 0
