#!/usr/bin/env python3
"""handwound and its peers on the same application, side by side.

Every server is started once, asked whether its answers are right, and then driven by wrk in interleaved
rounds: one round of each server, then the next round of each. Server and wrk are pinned to a CPU each, so
that what is compared is work done by one CPU. Prints requests/s, latency, CPU time a request (user and system,
of the whole process tree) and memory, as medians [least-greatest] and as ratios to the baseline.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import signal
import sys
import tempfile

import measure
import report
import servers as peers

PATHS = ["/seed", "/hello", "/echo", "/big", "/stream", "/block", "/flask"]
EPILOG = """\
examples:
  bench.py --setup ~/peers                 make a virtual environment with the peers, then run
  bench.py --python ~/peers/bin/python --paths /seed --rounds 3 --seconds 2 --only handwound,granian
  bench.py --add 'mine=/path/to/server --port {port}' --baseline granian --json out.json --svg out.svg

paths:
  /seed    the WSGI tutorial's application, without Content-Length      /hello   the same with Content-Length
  /echo    POST of 16 KiB, sent back     /big     1 MiB in one piece     /stream  1 MiB in 64 pieces
  /block   sleeps 10 ms                  /flask   a JSON answer by Flask

Needs wrk. CPU time and memory need Linux (/proc). Exit code: 0 measured, 1 nothing to measure, 130 interrupted.
"""


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--handwound", metavar="FILE", default=os.path.join(peers.ROOT, "target", "release", "handwound"),
        help="the command to measure (default: target/release/handwound of this repository)")
    add("--python", metavar="FILE", default=sys.executable,
        help="the Python that has the peers, and that handwound uses (default: the one that runs this)")
    add("--setup", metavar="DIR", help="make or complete a virtual environment of --python there, and use it")
    add("--setup-only", action="store_true", help="end after --setup")
    add("--paths", metavar="P,P", default=",".join(PATHS), help="default: %(default)s")
    add("--only", metavar="N,N", help="only these servers")
    add("--skip", metavar="N,N", default="", help="not these servers")
    add("--add", metavar="NAME=COMMAND", action="append", default=[],
        help="one more server; {port}, {threads}, {python} and {here} (the folder of apps.py) are filled in")
    add("--baseline", metavar="NAME", default="handwound", help="whom the ratios are to (default: %(default)s)")
    add("--rounds", metavar="N", type=int, default=5, help="default: %(default)s")
    add("--seconds", metavar="S", type=int, default=5, help="of each round, whole (default: %(default)s)")
    add("--warm-up", metavar="S", type=int, default=1, help="seconds not counted, for each server and path; may be 0")
    add("--connections", metavar="N", type=int, default=64, help="kept alive by wrk (default: %(default)s)")
    add("--threads", metavar="N", type=int, default=4, help="of each server that has a pool (default: %(default)s)")
    add("--server-cpu", metavar="N", type=int, default=0, help="default: %(default)s")
    add("--wrk-cpu", metavar="N", type=int, default=1, help="default: %(default)s")
    add("--unpinned", action="store_true", help="leave server and wrk free to move between CPUs")
    add("--json", metavar="FILE", help="write every round there")
    add("--markdown", metavar="FILE", help="write the tables there")
    add("--svg", metavar="FILE", help="write a bar chart there")
    given = parser.parse_args()
    if min(given.rounds, given.seconds, given.connections, given.threads) < 1 or given.warm_up < 0:
        parser.error("--rounds, --seconds, --connections and --threads must be at least 1")
    unknown = set(given.paths.split(",")) - set(PATHS)
    if unknown:
        parser.error(f"no such path: {', '.join(sorted(unknown))}; there are {', '.join(PATHS)}")
    for one in given.add:
        if not re.fullmatch(r"[\w.-]+=.*\{port\}.*", one):
            parser.error(f"--add {one!r}: wanted NAME=COMMAND with {{port}} in the command")
    if given.setup_only and not given.setup:
        parser.error("--setup-only needs --setup DIR")
    return given


def say(text):
    print(text, file=sys.stderr, flush=True)


def choose(given, python, folder):
    """The servers to try and, by name, why the others are left out."""
    packages, prefix, _ = peers.installed(python)
    added = [one.split("=", 1) for one in given.add]
    handwound = os.path.abspath(given.handwound)
    tried, missing = peers.known(python, prefix, packages, handwound, given.threads, added, peers.build_floor(folder))
    names = [server.name for server in tried] + list(missing)
    wanted = given.only.split(",") if given.only else names
    skipped = given.skip.split(",")
    for name in [*(wanted if given.only else []), *filter(None, skipped)]:
        if name not in names:
            say(f"no server is called {name}; there are {', '.join(names)}")
    tried = [server for server in tried if server.name in wanted and server.name not in skipped]
    return tried, {name: why for name, why in missing.items() if name in wanted and name not in skipped}


def start_all(tried, missing, cpu, folder):
    running = []
    for server in tried:
        try:
            server.start(cpu, folder)
            running.append(server)
        except peers.Unusable as problem:
            missing[server.name] = str(problem)
    for name, why in missing.items():
        say(f"left out: {name}: {why}")
    return running


def admit(running, path, given, cpu):
    """Those whose answers are right, and the table of results with an entry for every one."""
    table, admitted = {}, []
    for server in running:
        if not server.serves(path):
            continue
        entry = table[server.name] = {"rounds": [], "notes": []}
        try:
            if not peers.verify(server.port, path):
                entry["notes"].append("closes the connection after each answer")
            if given.warm_up:
                run(server, path, given, given.warm_up, cpu)
            admitted.append(server)
        except (peers.Unusable, ValueError) as problem:
            entry["notes"].append(f"disqualified: {problem}")
            say(f"{path} {server.name} disqualified: {problem}")
    return admitted, table


def run(server, path, given, seconds, cpu):
    """One round. CPU time covers all that the server did meanwhile, connecting included."""
    script = os.path.join(peers.HERE, "echo.lua") if path == "/echo" else None
    before = measure.Cpu(server.process.pid)
    url = f"http://127.0.0.1:{server.port}{path}"
    one = measure.run_wrk(url, seconds, given.connections, cpu, script)
    spent = measure.Cpu(server.process.pid).since(before)
    one["cpu_us"] = spent / 1000 / one["requests"] if spent is not None and one["requests"] else None
    one["memory_mib"] = measure.memory_mib(server.process.pid)
    return one


def measure_path(running, path, given, cpu):
    admitted, table = admit(running, path, given, cpu)
    for number in range(given.rounds):
        for server in list(admitted):
            try:
                one = run(server, path, given, given.seconds, cpu)
                table[server.name]["rounds"].append(one)
                say(f"{path} round {number + 1}/{given.rounds} {server.name}: {one['rps']:,.0f}/s {one['errors']}")
            except ValueError as problem:
                table[server.name]["notes"].append(f"stopped in round {number + 1}: {problem}")
                admitted.remove(server)
    return table


def about(given, python, load):
    options = ("rounds", "seconds", "connections", "threads", "server_cpu", "wrk_cpu")
    packages, _, version = peers.installed(python)
    model = re.search(r"model name\s*: (.*)", measure.read("/proc/cpuinfo") or "")
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": model.group(1) if model else platform.processor() or platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": version,
        "versions": packages,
        "load": load,
        "pinned": not given.unpinned,
        **{name: getattr(given, name) for name in options},
    }


def write(path, text):
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def bench(given, python, folder):
    server_cpu, wrk_cpu = (None, None) if given.unpinned else (given.server_cpu, given.wrk_cpu)
    tried, missing = choose(given, python, folder)
    load = round(os.getloadavg()[0], 2)
    if load > 0.5:
        say(f"the machine is busy (load {load}): trust CPU time a request more than requests/s")
    try:
        running = start_all(tried, missing, server_cpu, folder)
        if not running:
            say("nothing to measure")
            return 1
        names = [server.name for server in running]
        baseline = given.baseline if given.baseline in names else names[0]
        if baseline != given.baseline:
            say(f"{given.baseline} does not run; the ratios are to {baseline}")
        results = {"about": about(given, python, load), "baseline": baseline, "missing": missing, "paths": {}}
        for path in given.paths.split(","):
            servers = results["paths"][path] = measure_path(running, path, given, wrk_cpu)
            print(f"\n{path}   × is server/{baseline}\n{report.text_table(servers, baseline)}", flush=True)
            # After each path, so that an interrupted run leaves what it has.
            write(given.json, json.dumps(results, indent=1))
            write(given.markdown, report.markdown(results))
            write(given.svg, report.chart(results))
    finally:
        # Cleaning up is not to be interrupted by a second Ctrl-C.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for server in tried:
            server.stop()
    return 0


def main():
    given = arguments()
    # The path is kept as given: resolving a virtual environment's link would lead out of it.
    python = os.path.abspath(os.path.expanduser(shutil.which(given.python) or given.python))
    if not os.access(python, os.X_OK):
        say(f"no Python at {python}; name one with --python")
        return 1
    if given.setup:
        python = peers.make_environment(os.path.abspath(os.path.expanduser(given.setup)), python)
        if given.setup_only:
            return 0
    if not shutil.which("wrk"):
        say("wrk is not installed (Debian: apt-get install wrk; macOS: brew install wrk)")
        return 1
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if not given.unpinned and not {given.server_cpu, given.wrk_cpu} <= cpus:
        say("these CPUs cannot be pinned to here; running unpinned")
        given.unpinned = True
    # A polite kill cleans up like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            return bench(given, python, folder)
        except KeyboardInterrupt:
            say("interrupted")
            return 130


if __name__ == "__main__":
    sys.exit(main())
