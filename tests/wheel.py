#!/usr/bin/env python3
"""Builds the wheel for each Python there is, and tries it in a new environment: the package's own tests, the command, its
pages of help, and what a type checker says.

    tests/wheel.py              the Python that runs this, then the others as far as the time goes
    tests/wheel.py --own        the Python that runs this, and no other
    tests/wheel.py PYTHON...    these

Needs Rust, and pip, which is asked for maturin and mypy. What is left out is said, by name.
"""

import argparse
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRATE = ROOT / "wsgi" / "python"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "wheel"
VERSIONS = ["3.%d" % minor for minor in range(9, 15)]
OWN = "%d.%d" % sys.version_info[:2]
QUESTION = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name, sys.executable)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    parser.add_argument("--own", action="store_true", help="only the Python that runs this")
    parser.add_argument("--profile", default="dev", help="cargo's profile to build with [dev]")
    parser.add_argument("--seconds", type=float, default=300, help="begin no further Python after so long [300]")
    options = parser.parse_args()
    start = time.monotonic()
    tools = prepare_tools()
    tried = []
    if options.pythons:
        asked = [ask(Path(shutil.which(python) or python)) or sys.exit("%s is no Python" % python) for python in options.pythons]
    else:
        asked = [ask(Path(sys.executable))] + ([] if options.own else others())
    for version, python in asked:
        if tried and not options.pythons and time.monotonic() - start > options.seconds:
            print("SKIPPED the wheel for Python %s: no time left of %d s" % (version, options.seconds))
            continue
        before = time.monotonic()
        print("-- the wheel for Python %s (%s)" % (version, python), flush=True)
        check(python, tools, options.profile, is_own=version == OWN)
        tried.append(version)
        print("-- Python %s holds, after %.0f s" % (version, time.monotonic() - before), flush=True)
    if not options.pythons and not options.own:
        for version in VERSIONS:
            if version not in [found for found, _ in asked]:
                print("SKIPPED the wheel for Python %s: not installed" % version)


def others():
    """The other versions, one Python of each: on the PATH, or in pyenv's folder."""
    found = {OWN: None}
    folders = os.environ.get("PATH", "").split(os.pathsep)
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], stdout=subprocess.PIPE, text=True).stdout.strip()
        folders += sorted(glob.glob(os.path.join(root, "versions", "*", "bin")))
    for version in VERSIONS:
        for folder in folders:
            candidate = Path(folder) / ("python" + version)
            answer = ask(candidate) if version not in found and candidate.is_file() else None
            if answer is not None and answer[0] == version:
                found[version] = answer[1]
    return [(version, python) for version, python in found.items() if python is not None]


def ask(python):
    """Its version and its own path; None for what does not run, as pyenv's shims of versions that are not chosen."""
    answer = subprocess.run([str(python), "-c", QUESTION], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if answer.returncode != 0:
        return None
    version, implementation, executable = answer.stdout.split(None, 2)
    return (version, Path(executable.strip())) if implementation == "cpython" else None


def prepare_tools():
    """An environment with maturin, mypy, and pytest, whose types the plugin needs."""
    tools = TARGET / "tools"
    if not (tools / "bin" / "pytest").exists():
        run(sys.executable, "-m", "venv", "--clear", tools)
        run(tools / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "maturin>=1.9.4,<2", "mypy", "pytest")
    return tools / "bin"


def check(python, tools, profile, is_own):
    wheels = TARGET / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    run(
        tools / "maturin", "build", "--quiet", "--profile", profile, "--interpreter", python, "--out", wheels,
        "--manifest-path", CRATE / "Cargo.toml", "--target-dir", TARGET,
    )
    [wheel] = wheels.glob("*.whl")
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", Path(folder) / "venv")
        bin = Path(folder) / "venv" / "bin"
        run(bin / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", wheel)
        check_package(bin, Path(folder))
        check_simulations(bin, Path(folder), with_pytest=is_own)
        check_command(bin, Path(folder))
        if is_own:
            # One version's answer is every version's, and mypy has to be able to import it.
            check_types(bin, tools, Path(folder))


def check_package(bin, folder):
    """The package's own tests, and the pages that pydoc makes."""
    tests = CRATE / "tests"
    run(bin / "python", "-W", "error", "-m", "unittest", "discover", "--quiet", "-s", tests / "package", "-t", tests, cwd=folder, quiet=True)
    for name, says in [("handwound", "internet (package)"), ("handwound.internet.reactor", "callInThread(self, callable: Callable[..., Any]")]:
        page = run(bin / "python", "-m", "pydoc", name, cwd=folder, quiet=True)
        assert says in page, page


COUNTER = """
import pytest
from handwound import testing

counter = {"n": 0}

def save(n):
    counter["n"] = n

def app(environ, start_response):
    save(counter["n"] + 1)
    start_response("200 OK", [])
    return [b"saved"]

@testing.simulate(app=app, seeds=500)
def test_counter(sim):
    sim.get("/"), sim.get("/")
    sim.settle()
    assert counter["n"] == 2

@testing.simulate(seeds=1)
def test_skipped(sim):
    pytest.skip("not today")
"""


def check_simulations(bin, folder, with_pytest):
    """The simulated tests, and pytest's plugin as it is found among what is installed."""
    if not sys.platform.startswith("linux"):
        print("SKIPPED simulations: for Linux only")
        return
    run(bin / "python", CRATE / "tests" / "simulate" / "run.py", cwd=folder, quiet=True)
    if with_pytest:
        run(bin / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pytest")
        (folder / "test_counter.py").write_text(COUNTER)
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --ff\n")
        said = run(bin / "pytest", "-q", "test_counter.py", cwd=folder, quiet=True, status=1)
        replay = re.search("--handwound-replay=\\S+", said)
        assert replay and "left at test_counter.py:" in said and "1 skipped" in said, said
        again = run(bin / "pytest", "-q", "test_counter.py", replay.group(), cwd=folder, quiet=True, status=1)
        assert "assert 1 == 2" in again and replay.group() in again, again


APPLICATION = """
def application(environ, start_response):
    start_response('200 OK', [('Content-type', 'text/plain')])
    return [b'Hello, world!']
"""

TUTORIAL = """from twisted.web.wsgi import WSGIResource
from twisted.internet import reactor

def application(environ, start_response):
    start_response('200 OK', [('Content-type', 'text/plain')])
    return ['Hello, world!']

resource = WSGIResource(reactor, reactor.getThreadPool(), application)
"""


def check_command(bin, folder):
    """The command, by each of its names, and the tutorial."""
    served = folder / "served"
    served.mkdir()
    (served / "hello.py").write_text(APPLICATION)
    (served / "hello.rpy").write_text(TUTORIAL)
    (served / "broken.py").write_text("from handwound.internet import reactor\nreactor.callLater(0, print)\n1 / 0\n")
    names = ([bin / "handwound"], [bin / "python", "-m", "handwound"])
    for name in names:
        assert run(*name, "--version", quiet=True).startswith("handwound "), name
        assert "Examples:" in run(*name, "web", "--help", quiet=True), name
        said = run(*name, "web", "--wsgi", "nosuch.application", cwd=served, quiet=True, status=1)
        assert said.splitlines()[-1] == "No such WSGI application: 'nosuch.application'", said
        # Not even the thread that would make the call keeps it from ending.
        assert run(*name, "web", "--wsgi", "broken.app", cwd=served, quiet=True, status=1).endswith("by zero\n"), name
        said = run(*name, "web", "--wsgi", "hello.application", "--lisen", "tcp:1", cwd=served, quiet=True, status=1)
        assert re.match("handwound: .*'--listen'\n$", said), said
        said = run(*name, "web", "--wsgi", "hello.application", "--python", "x", cwd=served, quiet=True, status=1)
        assert "leave it out" in said and said.count("\n") == 1, said
        for way_out in (signal.SIGTERM, signal.SIGINT):
            check_serving([*name, "web", "--wsgi", "hello.application"], "/", served, way_out)
            check_serving([*name, "web", "--wsgi", "hello.application", "--workers", "2"], "/", served, way_out)
    check_serving([bin / "handwound", "web", "--path", "."], "/hello.rpy", served, signal.SIGTERM)


def check_serving(command, path, folder, way_out):
    command = [str(part) for part in command] + ["--listen", "tcp:0:interface=127.0.0.1"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        url = re.search(r"listening on (http://\S+:\d+)/", line)
        assert url, line
        ask = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())"
        answer = run(sys.executable, "-c", ask, url.group(1) + path, quiet=True)
        assert answer == "Hello, world!\n", answer
        process.send_signal(way_out)
        rest = process.stderr.read()
        assert process.wait(60) == 0, rest
        assert "Traceback" not in rest, rest
    finally:
        process.kill()
        process.wait()


PROGRAM = """
from handwound.internet import reactor
from handwound.internet.base import Reactor
from handwound.python.threadpool import ThreadPool

def tick(left: int) -> None:
    reactor.callLater(0.5, tick, left - 1) if left else reactor.stop()

pool = ThreadPool(1, 2)
pool.callInThread(print, "a", sep="")
reactor.callWhenRunning(tick, 3)
own: Reactor = Reactor()
own.callLater(1, own.stop).cancel()
"""


def check_types(bin, tools, folder):
    """Inside, and for a program that uses it."""
    run(tools / "mypy", "--config-file", CRATE / "pyproject.toml", "--cache-dir", TARGET / "mypy", cwd=CRATE)
    # What is written down of the compiled part is what is in it.
    [site] = (folder / "venv").glob("lib/python*/site-packages")
    (folder / "not_said").write_text("handwound._native.__all__\n")
    run(
        tools / "python", "-m", "mypy.stubtest", "handwound._native", "--allowlist", "not_said", "--ignore-disjoint-bases",
        cwd=folder, quiet=True, PYTHONPATH=str(site),
    )
    (folder / "program.py").write_text(PROGRAM)
    run(
        tools / "mypy", "--strict", "--python-executable", bin / "python", "--cache-dir", folder / "cache", "program.py",
        cwd=folder,
    )


def run(*command, cwd=None, quiet=False, status=0, **more):
    """Runs it to its end; says what it said if that is not the right one."""
    output = subprocess.PIPE if quiet else None
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environment.update(more)
    command = [str(part) for part in command]
    ended = subprocess.run(
        command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT if quiet else None, text=True, env=environment
    )
    if ended.returncode != status:
        sys.exit("%s\nended with %d: %s" % (ended.stdout or "", ended.returncode, " ".join(command)))
    return ended.stdout


if __name__ == "__main__":
    main()
