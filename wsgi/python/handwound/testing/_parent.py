"""Starts the process in which a test is simulated, and tells what became of it."""

import contextlib
import json
import os
import platform
import subprocess
import sys
import unittest
from typing import Any, Callable, Dict, List, Optional, Tuple

from handwound.testing import _child
from handwound.testing._errors import Failed, Unsupported

ADDR_NO_RANDOMIZE = 0x0040000
# Of what it wrote, if it died without a word.
TAIL_LINES = 150
# It finds what this process has found, whatever the current folder is.
BEGINNING = """\
import json, os, sys
sys.path[:] = json.loads(os.environ["HANDWOUND_SYS_PATH"])
from handwound.testing import _child
sys.exit(_child.main(*sys.argv[1:]))
"""
# Deep stacks fit, as on a thread that Python makes.
STACK_BYTES = 8 << 20


def run(function: Callable[..., Any], args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
    """Runs a test in a process of its own, without pytest."""
    __tracebackhide__ = True
    if args or kwargs or "<locals>" in function.__qualname__ or "." in function.__qualname__:
        raise TypeError(
            "%s: a simulated test is a function at the top level of its module that takes nothing but the simulation, or"
            " one that pytest calls, which unittest.TestCase is not for" % function.__qualname__
        )
    # Not by its name: the module may have been run as a script.
    file = function.__code__.co_filename
    command = [sys.executable, "-c", BEGINNING, file, function.__module__, function.__name__]
    outcome(*start(command))


def start(
    command: List[str], environ: Optional[Dict[str, str]] = None, folder: Optional[str] = None
) -> Tuple[int, str, Dict[str, Any]]:
    """Runs a command in a process that simulates: its exit status, what it wrote, and what it found."""
    native = supported()
    library = os.memfd_create("handwound_shadow", 0)
    # No pipe, which takes so much and then waits for somebody to read.
    results = os.memfd_create("handwound_results", 0)
    try:
        with open(library, "wb", closefd=False) as file:
            file.write(native.shadow_library())
        variables = dict(os.environ if environ is None else environ)
        variables.update(
            LD_PRELOAD=("%s%d %s" % (_child.PRELOADED, library, variables.get("LD_PRELOAD", ""))).strip(),
            PYTHONHASHSEED="0",
            PYTHONFAULTHANDLER="1",
            RUST_MIN_STACK=str(STACK_BYTES),
            HANDWOUND_SIMULATES=str(results),
            HANDWOUND_SYS_PATH=json.dumps(sys.path),
        )
        with settled():
            process = subprocess.Popen(
                command, env=variables, cwd=folder, pass_fds=[library, results], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )
        try:
            with process:
                written, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
        os.lseek(results, 0, os.SEEK_SET)
        with open(results, encoding="utf-8", closefd=False) as file:
            lines = file.read().splitlines()
        return process.returncode, written, json.loads(lines[-1]) if lines else {}
    finally:
        os.close(library)
        os.close(results)


def outcome(status: int, written: str, found: Dict[str, Any]) -> None:
    """Raises what became of it, if it did not pass."""
    __tracebackhide__ = True
    if found.get("report"):
        raise Failed(found["report"], found)
    if found.get("skipped"):
        raise unittest.SkipTest(found["skipped"])
    if status != 0 or not found:
        # CPython's word for each thread that was told to end while it waited for a lock.
        lines = [line for line in written.rstrip().splitlines() if line != "sem_wait: Connection timed out"]
        cut = ["... %d lines more" % (len(lines) - TAIL_LINES)] if len(lines) > TAIL_LINES else []
        how = "by signal %d" % -status if status < 0 else "with status %d" % status
        text = "\n".join(["  " + line for line in cut + lines[-TAIL_LINES:]])
        if "Timeout (" in written:
            how += ", by its watchdog (`watchdog=` says after how many seconds of real time)"
        raise Failed("the process of the simulation ended %s, and had written:\n%s" % (how, text or "  nothing"))


def supported() -> Any:
    """The compiled part, where it can simulate.

    Raises Unsupported elsewhere.
    """
    why = None
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        why = "they need Linux with glibc, and this is %s" % platform.platform()
    elif sys.implementation.name != "cpython" or not (3, 9) <= sys.version_info[:2] <= (3, 13):
        why = "they need CPython 3.9 to 3.13, and this is %s %s" % (sys.implementation.name, platform.python_version())
    elif "free-threading" in sys.version:
        why = "they need a Python with the interpreter lock, and this is one without"
    from handwound import _native

    if why is None and not hasattr(_native, "shadow_library"):
        why = "this handwound was built without them; the wheel has them (pip install handwound)"
    if why is not None:
        raise Unsupported("simulations of Python programs do not work here: %s" % why)
    return _native


def why_not() -> Optional[str]:
    """Why there are no simulations here; None where there are."""
    try:
        supported()
    except Unsupported as why:
        return str(why)
    return None


class settled:
    """While a process is started: what it has from birth. Addresses are the same each time, and it has one processor."""

    def __enter__(self) -> None:
        self.persona = personality(0xFFFFFFFF)
        # Where this is not allowed (some containers), addresses differ, and so does what is sorted by them.
        personality(self.persona | ADDR_NO_RANDOMIZE)
        self.processors = os.sched_getaffinity(0)
        # Tests that run side by side, in processes of their own, should not share one. Where this is not allowed either, it
        # is slower.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {sorted(self.processors)[os.getpid() % len(self.processors)]})

    def __exit__(self, *error: Any) -> None:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, self.processors)
        personality(self.persona)


def personality(persona: int) -> int:
    """Sets how Linux treats this thread and what it starts (personality(2)); what it was before."""
    try:
        import ctypes
    except ImportError:
        return 0
    return int(ctypes.CDLL(None).personality(ctypes.c_ulong(persona))) & 0xFFFFFFFF
