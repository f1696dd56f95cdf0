#!/usr/bin/env python3
"""handwound and its peers on the same work, side by side: `bench.py --help` teaches, `bench.py --list` lists."""

import os
import shutil
import signal
import sys
import tempfile

import environment
import measure
import options
import page
import report
import results
import roster
from run import Progress, Quiet, Run, duration
from servers import say


def draw(given, found):
    """Writes whatever was asked for."""
    if given.report:
        for path, text in page.files(found, given.report).items():
            results.save(path, text)
    if given.markdown:
        results.save(given.markdown, report.markdown(found))
    if given.svg:
        results.save(given.svg, report.all_bars(found))


def measure_all(given, interpreters, folder, found, scenarios):
    """Runs scenarios, and keeps and draws each as soon as it is done. Returns how many found somebody to measure."""
    run = Run(given, interpreters, folder, quiet=Quiet(given.lock))
    load = round(os.getloadavg()[0], 2)
    if load > 0.5:
        say(f"the machine is busy (load {load}): trust CPU time a request more than requests/s")
    planned = [one.planned_seconds(given, servers_of(run, one)) for one in scenarios]
    run.progress = Progress(sum(planned), clock=run.quiet.clock)
    say(f"{len(scenarios)} scenarios, about {duration(sum(planned))}")
    measured = 0
    for at, scenario in enumerate(scenarios):
        say(f"== {scenario.name}: {scenario.title}")
        result = scenario.run(run)
        run.quiet.release()
        run.progress.settle(sum(planned[:at + 1]))
        if not any(one["rounds"] for table in result["tables"].values() for one in table.values()):
            say(f"{scenario.name}: nothing to measure: {result['missing']}")
            continue
        measured += 1
        results.merge(found, scenario.name, result, results.about(interpreters, load))
        print(f"\n{report.text(scenario, result)}", flush=True)
        results.write(given.json, found)
        draw(given, found)
    return measured


def servers_of(run, scenario):
    """How many servers a scenario will go round, for the plan."""
    (found, _), need = run.peers(scenario.choice.group), scenario.need(run.given)
    wanted = [peer for peer, _ in found if scenario.choice.wants(peer) and run.is_asked_for(peer.name)]
    return sum(roster.why_not(peer, need) is None for peer in wanted)


def executable(python):
    """The path is kept as given: resolving a virtual environment's link would lead out of it."""
    path = os.path.abspath(os.path.expanduser(shutil.which(python) or python))
    if not os.access(path, os.X_OK):
        raise ValueError(f"no Python at {path}; name one with --python or --also-python")
    return path


def prepare(given):
    """The Pythons, after --setup."""
    python, also = executable(given.python), [executable(one) for one in given.also_python]
    folder = given.setup and os.path.abspath(os.path.expanduser(given.setup))
    if folder:
        python, also = environment.make_all(folder, python, also)
    given.build = os.path.abspath(given.build or folder or os.path.join(environment.ROOT, "target", "peers"))
    return [environment.interpreter(python), *(environment.interpreter(one, is_main=False) for one in also)]


def bench(given):
    found = results.read(given.json)
    if given.draw:
        draw(given, found)
        return 0
    interpreters = prepare(given)
    if given.setup_only:
        return 0
    if not shutil.which("wrk"):
        raise ValueError("wrk is not installed (Debian: apt-get install wrk; macOS: brew install wrk)")
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if not given.unpinned and not {given.server_cpu, given.wrk_cpu} <= cpus:
        say("these CPUs cannot be pinned to here; running unpinned")
        given.unpinned = True
    given.idle_limit = measure.raisable_descriptors()
    scenarios = [one for one in options.chosen(given) if not (given.resume and one.name in found["scenarios"])]
    # A polite kill cleans up like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            measured = measure_all(given, interpreters, folder, found, scenarios)
        finally:
            # Cleaning up is not to be interrupted by a second Ctrl-C.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
    if scenarios and not measured:
        say("nothing to measure")
        return 1
    return 0


def main():
    given = options.arguments()
    if given.list:
        print(options.listing())
        return 0
    try:
        return bench(given)
    except ValueError as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
