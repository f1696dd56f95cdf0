"""How long a server takes to start, and how large it is."""

import json
import os
import socket
import subprocess
import time
import zlib

import answers
import measure
from roster import PEERS, Need
from scenarios.base import Bars, Choice, Column, Scenario
from servers import HERE, START_SECONDS_MAX, Unusable, stop_all

POLL_SECONDS = 0.001


class Start(Scenario):
    columns = [
        Column("import_ms", "until the import, ms", "{:,.0f}", True),
        Column("listen_ms", "until it listens", "{:,.0f}", True),
        Column("answer_ms", "until the first answer", "{:,.0f}", True),
        Column("memory_mib", "memory MiB", "{:,.1f}", True),
    ]
    pictures = [
        Bars("answer_ms", "ms until the first answer (shorter is better)", "{:,.0f}", False),
        Bars("import_ms", "ms until the application is imported (shorter is better)", "{:,.0f}", False),
    ]
    main, more_is_better = "answer_ms", False
    choice = Choice(floor=False)

    def steps(self, given):
        return 1.2, given.rounds

    def run(self, run):
        servers, missing = run.servers(Need(run.given.threads, module="stamped"), self.choice)
        tables = run.rounds(
            servers, ["start"], lambda server: self.one(run, server) and None,
            lambda server: {"start": self.one(run, server)}, self.steps(run.given)[0], self.name,
        )
        result = self.result(run, tables, missing)
        result["settings"]["how"] = f"{run.given.rounds} rounds, {run.given.threads} threads, unpinned"
        return result

    def one(self, run, server):
        stamps = os.path.join(run.folder, "stamps")
        open(stamps, "w").close()
        began, began_wall = time.monotonic(), time.time()
        try:
            server.spawn(None, run.folder, {"BENCH_STAMP": stamps})
            server.wait_until_it_listens(POLL_SECONDS)
            listens = time.monotonic()
            first_answer(server, began + START_SECONDS_MAX)
            answered = time.monotonic()
            with open(stamps) as file:
                imported = file.read().split()
            if not imported:
                raise Unusable("imports the application where it cannot say so")
            found = {
                "import_ms": (float(imported[0]) - began_wall) * 1000,
                "listen_ms": (listens - began) * 1000,
                "answer_ms": (answered - began) * 1000,
                "memory_mib": measure.memory_mib(server.process.pid),
                "errors": "",
            }
        finally:
            stop_all([server])
        return found


def first_answer(server, deadline):
    """Waits for it. Who listens before the application is there lets it wait, or closes."""
    while True:
        try:
            connection = answers.connect(server.port)
            try:
                return answers.exchange(connection, "/seed")
            finally:
                connection.close()
        except (OSError, socket.timeout, answers.http.client.HTTPException, Unusable):
            if time.monotonic() > deadline or server.process.poll() is not None:
                raise Unusable(f"gives no answer; the end of its log: {server.end_of_log()}") from None
            time.sleep(POLL_SECONDS)


class Size(Scenario):
    columns = [
        Column("installed_mib", "installed MiB", "{:,.2f}", True),
        Column("packed_mib", "packed MiB", "{:,.2f}", True),
    ]
    pictures = [Bars("packed_mib", "MiB, packed as a wheel is (shorter is better)", "{:,.2f}", False)]
    main, more_is_better = "installed_mib", False

    def steps(self, given):
        return 2, 1

    def run(self, run):
        table, missing = {}, {}
        command = os.path.abspath(run.given.handwound)
        half = os.path.join(os.path.dirname(command), "deps", "libhandwound_python.so")
        if os.path.exists(command):
            own = [path for path in (command, half) if os.path.exists(path)]
            table["handwound"] = size(own, "the command and its half for Python")
        else:
            missing["handwound"] = f"no {command}"
        if run.given.wheel:
            found = os.path.getsize(run.given.wheel) / (1 << 20)
            wheel = {"installed_mib": None, "packed_mib": found, "errors": ""}
            table["handwound-wheel"] = {"rounds": [wheel], "notes": []}
        for interpreter in run.interpreters:
            files = package_files(interpreter)
            # Twisted is far more than a server.
            for peer in [one for one in PEERS if one.of is None and one.package in files and one.name != "twisted"]:
                name = peer.name + interpreter.suffix
                if run.is_asked_for(name):
                    table[name] = size(files[peer.package], "")
        result = self.result(run, {"size": table}, missing)
        result["settings"]["how"] = "Counted once"
        return result


def size(paths, note):
    """The size of files, and what is left of it when each is deflated, as a wheel does it."""
    total = packed = 0
    for path in paths:
        with open(path, "rb") as file:
            content = file.read()
        total += len(content)
        packed += len(zlib.compress(content, 6))
    found = {"installed_mib": total / (1 << 20), "packed_mib": packed / (1 << 20), "errors": ""}
    return {"rounds": [found], "notes": [note] if note else []}


def package_files(interpreter):
    """The files of each server's package, without what it depends on."""
    script = (
        "import importlib.metadata as m, json, os\nfound = {}\n"
        f"for name in {sorted(interpreter.packages)!r}:\n"
        "    paths = [str(one.locate()) for one in m.files(name) or []]\n"
        "    found[name] = [one for one in paths if os.path.isfile(one) and not one.endswith('.pyc')]\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run([interpreter.python, "-c", script], check=True, stdout=subprocess.PIPE, cwd=HERE)
    return json.loads(done.stdout)


ALL = [
    Start("start", "Starting", "From the start of the process until the application's import begins, until a"
          " connection is accepted, and until the first answer has come."),
    Size("size", "Size", "What is installed of a server itself, without the packages it depends on and without"
         " Python; and the same deflated, as in a wheel. The command of handwound has the names of its functions"
         " for tracebacks."),
]
