"""Slow requests beside quick ones: what share of their speed the quick ones keep."""

import time

import measure
from scenarios.base import Bars, Choice, Column, Scenario

QUICK, SLOW = 32, 2
# The slow ones are under way before the quick ones are counted, and still after.
AROUND_SECONDS = 1


class Mixed(Scenario):
    columns = [
        Column("share", "share kept", "{:.0%}", True),
        Column("rps", "requests/s, alone", "{:,.0f}", True),
        Column("mixed_rps", "beside slow ones", "{:,.0f}", True),
        Column("mixed_cpu_us", "CPU µs/request", "{:,.1f}", True),
        Column("p99_ms", "p99 ms, alone", "{:,.2f}"),
        Column("mixed_p99_ms", "beside slow ones", "{:,.2f}"),
    ]
    pictures = [
        Bars("mixed_rps", "quick requests/s beside slow ones (longer is better)", "{:,.0f}"),
        Bars("share", "share of the speed without slow ones (longer is better)", "{:.0%}"),
    ]
    main = "mixed_rps"
    choice = Choice(variants="all", floor=False)

    def steps(self, given):
        return 2 * given.seconds + AROUND_SECONDS + 0.5, given.rounds

    def run(self, run):
        given = run.given

        def one(server):
            alone = run.wrk(server, "/seed", given.seconds, QUICK)
            slow = measure.start_wrk(server.url("/block"), given.seconds + AROUND_SECONDS, SLOW, run.cpus()[1])
            time.sleep(AROUND_SECONDS / 2)
            mixed = run.wrk(server, "/seed", given.seconds, QUICK)
            blocked = measure.end_of_wrk(slow)
            share = mixed["rps"] / alone["rps"] if alone["rps"] else 0
            more = {f"mixed_{key}": mixed[key] for key in ("rps", "p50_ms", "p99_ms", "cpu_us", "errors")}
            return {"/seed": {**alone, **more, "share": share, "slow_rps": blocked["rps"]}}

        with run.started(self.need(given), self.choice) as (running, missing):
            tables = run.rounds(
                running, ["/seed"], lambda server: run.greet(server, "/seed", QUICK), one, self.steps(given)[0],
                self.name,
            )
        result = self.result(run, tables, missing)
        result["settings"].update(connections=f"{QUICK} + {SLOW}")
        return result


ALL = [
    Mixed("mixed", "Quick requests beside slow ones", f"{QUICK} connections ask for the tutorial's application,"
          f" alone and then beside {SLOW} connections whose requests sleep for 10 ms each. Four threads, but where"
          " the name says otherwise."),
]
