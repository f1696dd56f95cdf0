"""wrk on one path, as fast as it goes."""

import os

from roster import Need
from scenarios.base import CPU_BARS, P50, Bars, Choice, Scenario
from servers import HERE


class Load(Scenario):
    def __init__(self, name, path, title, about, *, many_threads=False, workers=1, connections=None, pinned=True,
                 choice=None):
        super().__init__(name, title, about)
        self.path, self.many_threads, self.workers = path, many_threads, workers
        self.connections, self.pinned = connections, pinned
        self.choice = choice or Choice()

    def need(self, given):
        return Need(given.many_threads if self.many_threads else given.threads, self.workers)

    def run(self, run):
        given = run.given
        connections = self.connections or given.connections
        script = os.path.join(HERE, "echo.lua") if self.path == "/echo" else None
        with run.started(self.need(given), self.choice, self.pinned) as (running, missing):
            tables = run.rounds(
                [server for server in running if server.serves(self.path)], [self.path],
                lambda server: run.greet(server, self.path, connections, self.pinned, script),
                lambda server: {self.path: run.wrk(server, self.path, given.seconds, connections, self.pinned, script)},
                self.steps(given)[0], self.name,
            )
        result = self.result(run, tables, missing)
        result["settings"].update(connections=connections, threads=self.need(given).threads)
        return result


class One(Load):
    """One connection: nothing can be batched, and what counts is how long an answer takes."""

    pictures = [Bars("p50_ms", "median latency, ms (shorter is better)", "{:,.3f}", False), CPU_BARS]
    main, more_is_better = "p50_ms", False
    columns = [P50._replace(form="{:,.3f}", has_ratio=True), *Scenario.columns[:2], *Scenario.columns[3:]]


class Rust(Load):
    baseline = "handwound-rust"


INLINE = ("handwound-inline", "weft-inline", "m0serve-inline")

TUTORIAL = [
    Load("seed", "/seed", "The tutorial's application", "The WSGI tutorial's application: thirteen bytes, no"
         " `Content-Length`. Server and wrk have a CPU each. Whose name ends in `-inline` runs the application on"
         " the thread of its connections, as bjoern, freastal, fastwsgi and fastpysgi always do: one request that"
         " waits holds up all. `-default` has 5 to 20 threads, `-32t` 32.", choice=Choice(variants="all")),
    Load("seed-unpinned", "/seed", "The tutorial's application, unpinned", "The same without pinning: server and wrk are"
         " free to move between the CPUs, and get into each other's way as the kernel likes.", pinned=False,
         choice=Choice(variants="all")),
]
OTHERS = [
    Load("block", "/block", "An application that waits", "Each request sleeps for 10 ms, as one that asks a database."
         " Everybody has 32 threads, which makes 3,200 requests/s at the most; who has no pool makes 100.",
         many_threads=True, choice=Choice(variants=("handwound-default", "twistd"), floor=False)),
    Load("hello", "/hello", "With a Content-Length", "The tutorial's application with a `Content-Length`.",
         choice=Choice(variants=INLINE)),
    Load("echo", "/echo", "A body of 16 KiB, sent back", "A POST of 16 KiB, which the application reads and returns.",
         choice=Choice(variants=INLINE, floor=False)),
    Load("big", "/big", "One MiB in one piece", "A response of 1 MiB in one piece.",
         choice=Choice(variants=INLINE, floor=False)),
    Load("stream", "/stream", "One MiB in 64 pieces", "A generator of 64 pieces of 16 KiB, without a `Content-Length`.",
         choice=Choice(variants=INLINE, floor=False)),
    Load("flask", "/flask", "Flask", "A JSON answer by Flask: most of the time is Flask's own.",
         choice=Choice(variants=INLINE, floor=False)),
    Rust("rust", "/seed", "Applications in Rust", "The tutorial's answer by a Rust closure on handwound"
         " (`bench.rs` among its examples: a pool, or none) and by hyper on tokio's `current_thread` runtime,"
         " which answers where it reads (`hyper`), or hands each request to a pool of blocking threads"
         " (`hyper-pooled`).", choice=Choice("rust")),
    Load("workers", "/seed", "Two processes", "Two worker processes, unpinned: on a machine with two CPUs they"
         " share them with wrk.", workers=2, pinned=False, choice=Choice(variants=INLINE)),
    One("one", "/seed", "One connection", "One connection, one request at a time: nothing can be batched, each"
        " hand-off is paid for in full.", connections=1, choice=Choice(variants=INLINE)),
]
