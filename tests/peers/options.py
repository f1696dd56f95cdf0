"""What bench.py can be told."""

import argparse
import os
import re
import sys

from environment import ROOT
from scenarios import ALL, BY_NAME

PATHS = ["/seed", "/hello", "/echo", "/big", "/stream", "/block", "/flask"]
ABOUT = """\
handwound and its peers on the same work, side by side.

Every server is asked whether its answers are right, and then driven by wrk in interleaved rounds: one round of each
server, then the next round of each. Server and wrk are pinned to a CPU each, so that what is compared is work done by
one CPU. Tells requests/s, latency, CPU time a request (user and system, of the whole process tree) and memory, as
medians [least-greatest], and as ratios to the baseline: medians of the ratios of each round.
"""
EPILOG = """\
examples:
  bench.py all --setup ~/peers --json peers.json --report wsgi/docs/performance.md
                      everything: makes an environment with the peers, measures, writes the page. Takes some six
                      hours; half of that with --seconds 2
  bench.py seed,one --python ~/peers/bin/python --rounds 3 --seconds 2 --only handwound,granian
  bench.py idle --idle 5000 --json peers.json       measure a part again; the rest of peers.json stays
  bench.py --draw --json peers.json --report page.md                 draw again, measure nothing
  bench.py all --resume --json peers.json           go on where it was interrupted
  bench.py --add 'mine=/path/to/server --port {port}' --baseline granian --paths /seed

`bench.py --list` tells the scenarios. Needs wrk (Debian: apt-get install wrk); CPU time and memory need Linux. Ctrl-C
ends in order, and leaves what was measured in --json. Exit code: 0 done, 1 nothing to measure, 130 interrupted.
"""


def parser():
    made = argparse.ArgumentParser(
        description=ABOUT, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument_group("what").add_argument
    add("scenarios", nargs="*", metavar="SCENARIO",
        help="names, or `all`; without any, those of --paths")
    add("--scenario", metavar="N,N", action="append", default=[], help="the same as an option")
    add("--list", action="store_true", help="tell the scenarios, and end")
    add("--paths", metavar="P,P", default=",".join(PATHS), help="the scenarios of these paths (default: %(default)s)")
    add("--only", metavar="N,N", help="only these servers")
    add("--skip", metavar="N,N", default="", help="not these servers")
    add("--add", metavar="NAME=COMMAND", action="append", default=[],
        help="one more server; {port}, {threads}, {python} and {here} (the folder of apps.py) are filled in")
    add("--baseline", metavar="NAME", help="whom the ratios are to (default: handwound)")

    add = made.add_argument_group("with what").add_argument
    add("--handwound", metavar="FILE", default=os.path.join(ROOT, "target", "release", "handwound"),
        help="the command to measure (default: target/release/handwound of this repository)")
    add("--python", metavar="FILE", default=sys.executable,
        help="the Python that has the peers, and that handwound uses (default: the one that runs this)")
    add("--also-python", metavar="FILE", action="append", default=[],
        help="a second Python, for peers that want another version; theirs are named `granian-313`")
    add("--setup", metavar="DIR", help="make or complete a virtual environment of --python there, and use it; "
        "those of --also-python below it")
    add("--setup-only", action="store_true", help="end after --setup")
    add("--build", metavar="DIR", help="where the floor and hyper are compiled (default: in --setup, or target/peers)")
    add("--rust-example", metavar="FILE", help="handwound's example `bench` (default: it is built)")
    add("--wheel", metavar="FILE", help="handwound's wheel, for its size")

    add = made.add_argument_group("how").add_argument
    add("--rounds", metavar="N", type=int, default=5, help="default: %(default)s")
    add("--seconds", metavar="S", type=int, default=5, help="of each round, whole (default: %(default)s)")
    add("--warm-up", metavar="S", type=int, default=1, help="seconds not counted, for each server and path; may be 0")
    add("--connections", metavar="N", type=int, default=64, help="kept alive by wrk (default: %(default)s)")
    add("--threads", metavar="N", type=int, default=4, help="of each server that has a pool (default: %(default)s)")
    add("--many-threads", metavar="N", type=int, default=32,
        help="in `block`, and of handwound-32t (default: %(default)s)")
    add("--idle", metavar="N", type=int, default=50_000,
        help="idle connections, fewer where `ulimit -Hn` allows no more (default: %(default)s)")
    add("--soak", metavar="N", type=int, default=2_000_000, help="requests of the long run (default: %(default)s)")
    add("--server-cpu", metavar="N", type=int, default=0, help="default: %(default)s")
    add("--wrk-cpu", metavar="N", type=int, default=1, help="default: %(default)s")
    add("--unpinned", action="store_true", help="leave server and wrk free to move between CPUs")
    add("--lock", metavar="FILE", help="hold an exclusive flock on this file while measuring, a minute or so at a "
        "time: whoever shares the machine, and takes it too, waits")

    add = made.add_argument_group("results").add_argument
    add("--json", metavar="FILE", help="keep every round there; what it has of other scenarios stays")
    add("--resume", action="store_true", help="leave out the scenarios that --json has")
    add("--draw", action="store_true", help="measure nothing: write --report, --markdown and --svg from --json")
    add("--report", metavar="FILE",
        help="write the page of the documentation there, its pictures in a folder beside it")
    add("--markdown", metavar="FILE", help="write the tables there")
    add("--svg", metavar="FILE", help="write the bars of all scenarios there")
    return made


def arguments(words=None):
    made = parser()
    given = made.parse_args(words)
    wrong = problem(given)
    if wrong:
        made.error(wrong)
    return given


def problem(given):
    """What is wrong with the arguments, or None."""
    if min(given.rounds, given.seconds, given.connections, given.threads, given.many_threads, given.soak) < 1:
        return "--rounds, --seconds, --connections, the two kinds of --threads and --soak must be at least 1"
    if given.warm_up < 0 or given.idle < 1:
        return "--warm-up must not be negative, and --idle at least 1"
    unknown = sorted(set(given.paths.split(",")) - set(PATHS))
    if unknown:
        return f"no such path: {', '.join(unknown)}; there are {', '.join(PATHS)}"
    unknown = [name for name in named(given) if name not in BY_NAME]
    if unknown:
        return f"no such scenario: {', '.join(unknown)}; there are {', '.join(BY_NAME)}"
    for one in given.add:
        if not re.fullmatch(r"[\w.-]+=.*\{port\}.*", one):
            return f"--add {one!r}: wanted NAME=COMMAND with {{port}} in the command"
    if given.setup_only and not given.setup:
        return "--setup-only needs --setup DIR"
    if (given.draw or given.resume) and not given.json:
        return "--draw and --resume need --json FILE"
    return None


def named(given):
    """The names of scenarios that were given, `all` spelled out."""
    words = [name for one in [*given.scenarios, *given.scenario] for name in one.split(",")]
    return list(BY_NAME) if "all" in words else words


def chosen(given):
    """The scenarios to run, in the order of the report."""
    names = named(given) or [path[1:] for path in given.paths.split(",")]
    return [one for one in ALL if one.name in names]


def listing():
    width = max(map(len, BY_NAME))
    return "\n".join(f"{one.name:{width}}  {one.title}" for one in ALL)
