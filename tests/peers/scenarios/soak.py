"""Memory over a long run."""

import os

import measure
from roster import Need
from scenarios.base import Choice, Column, Lines, Scenario
from servers import HERE, Unusable, stop_all

PATHS = ["/seed", "/echo", "/stream", "/hello"]
SAMPLES = 40
SERVERS = ("handwound", "granian", "gunicorn", "freastal", "bjoern", "peregrine", "waitress")


class Soak(Scenario):
    """One server after the other: rounds are samples of one run, and nothing is compared round by round."""

    kind = "samples"
    columns = [
        Column("million", "million requests", "{:,.2f}"),
        Column("memory_mib", "memory MiB", "{:,.1f}"),
    ]
    pictures = [Lines("memory_mib", "memory, MiB", "million requests", False)]
    main, more_is_better = "memory_mib", False
    choice = Choice(only=SERVERS, floor=False)

    def steps(self, given):
        return 1.1, SAMPLES

    def run(self, run):
        given, tables = run.given, {"memory": {}}
        tried, missing = run.servers(Need(given.threads), self.choice)
        for server in tried:
            entry = tables["memory"][server.name] = {"rounds": [], "notes": []}
            try:
                run.quiet.begin()
                server.start(run.cpus()[0], run.folder)
                run.greet(server, "/seed", given.connections)
                self.sample(run, server, entry)
            except (Unusable, ValueError, OSError) as problem:
                entry["notes"].append(f"stopped: {problem}")
            finally:
                stop_all([server])
                run.quiet.release()
        result = self.result(run, tables, missing)
        result["settings"]["how"] = (
            f"{given.soak:,} requests or {3 * SAMPLES} samples of a second, {given.connections} connections,"
            f" {given.threads} threads"
        )
        return result

    def sample(self, run, server, entry):
        """Until there were --soak requests, or so many samples: a slow server would go on for hours."""
        served = 0
        for number in range(SAMPLES * 3):
            run.quiet.begin()
            path = PATHS[number % len(PATHS)]
            script = os.path.join(HERE, "echo.lua") if path == "/echo" else None
            try:
                one = run.wrk(server, path, 1, run.given.connections, script=script)
            except ValueError as problem:
                entry["notes"].append(f"{path}: {problem}")
                return
            served += one["requests"]
            anonymous = measure.anonymous_kib(server.process.pid) / 1024
            entry["rounds"].append({
                "million": served / 1e6, "memory_mib": one["memory_mib"], "anonymous_mib": anonymous, "errors": "",
            })
            run.progress.step(1.1, f"soak: {server.name}: {served:,} requests, {one['memory_mib']:.1f} MiB")
            run.quiet.end(1.1)
            if served >= run.given.soak:
                break


ALL = [
    Soak("soak", "Memory over a long run", "The tutorial's application, echo, stream and hello in turn, a second"
         " each, until so many requests have come; memory after each second."),
]
