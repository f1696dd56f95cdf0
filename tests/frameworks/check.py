#!/usr/bin/env python3
"""Exercises one of this folder's applications on a running server.

usage: check.py HOST PORT KIND [--linted] [--tls FILE]

KIND is one of kinds.py's names; --linted says that the application is inside a checker whose findings it can tell;
--tls that it speaks HTTPS, with a certificate that those in FILE vouch for.
Prints one line a check, `ok NAME`, `skipped NAME: why` (a check, or all of a topic) or `FAILED NAME: expected … got …`, and a summary as the last
line. Exit code 0 when all hold, 1 when one differs, 2 for a wrong command line. Standard library only.
"""

import argparse
import socket
import sys

import checks  # noqa: F401  (registers them)
from checks.client import SECONDS_MAX, Differs, Server, registered
from kinds import KINDS


def chosen(kind, linted):
    """The checks of a kind, by topic; tells those that are left out."""
    topics, without = KINDS[kind]
    if linted:
        topics += ("wrapper", "problems") if "pages" in topics else ("problems",)
    for topic in topics:
        if topic in without:
            print(f"skipped {topic}: {without[topic]}")
            continue
        for name, of, function in registered:
            if of == topic and name in without:
                print(f"skipped {name}: {without[name]}")
            elif of == topic:
                yield name, function


def run(server, kind, linted):
    """Runs the checks of a kind, prints their lines; the number that failed and of all that ran."""
    failed = total = 0
    for name, function in chosen(kind, linted):
        total += 1
        try:
            function(server)
            print(f"ok {name}")
        except Differs as difference:
            failed += 1
            print(f"FAILED {name}: {difference}")
        except Exception as problem:  # Any trouble with the connection or the answer's form fails this check alone.
            failed += 1
            print(f"FAILED {name}: expected an answer got {type(problem).__name__}: {problem}")
        sys.stdout.flush()
    return failed, total


def main(arguments):
    parser = argparse.ArgumentParser(usage=__doc__.partition("usage: ")[2], add_help=False)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--linted", action="store_true")
    parser.add_argument("--tls")
    asked = parser.parse_args(arguments)
    try:
        socket.create_connection((asked.host, asked.port), timeout=SECONDS_MAX).close()
    except OSError as problem:
        print(f"FAILED connect: expected a server at {asked.host}:{asked.port} got {problem}")
        print(f"{asked.kind}: nothing checked")
        return 1
    failed, total = run(Server(asked.host, asked.port, asked.tls), asked.kind, asked.linted)
    print(f"{asked.kind}: {total - failed} of {total} checks hold" + (f", {failed} failed" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
