"""Idle connections: what one costs in memory, and what all of them cost those that are active."""

import contextlib
import os
import subprocess
import sys
import time

import measure
from roster import Need
from scenarios.base import Bars, Choice, Column, Lines, Scenario
from servers import HERE, Unusable, stop_all

# What holders and servers need of descriptors besides their connections.
DESCRIPTORS_SPARE = 500
ACTIVE = 64
SETTLE_SECONDS_MAX = 3
# Processes that accept from one socket get unequal shares; so full may all of them be together.
UNEVEN = 0.7
# Fewer than this share of them held: nothing was measured.
HELD_MIN = 0.9


class Holders:
    """Processes that hold idle connections to a port."""

    def __init__(self, port, each):
        self.port, self.each, self.processes, self.asked = port, each, [], 0

    def more(self, word, count):
        """`open` or `use` so many more; returns how many are open in all."""
        while count > 0:
            room = self.each * len(self.processes) - self.asked
            if room <= 0:
                command = [sys.executable, os.path.join(HERE, "holder.py"), str(self.port), str(len(self.processes))]
                self.processes.append(subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
                ))
                continue
            some = min(room, count)
            self.tell(self.processes[-1], f"{word} {some}")
            self.asked += some
            count -= some
        return self.count()

    def count(self):
        return sum(self.tell(process, "count") for process in self.processes)

    def tell(self, process, line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise Unusable("the process that holds idle connections has ended")
        return int(answer)

    def close(self):
        for process in self.processes:
            # The kernel closes its connections, whatever it is at.
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def how_many(wanted, limit, workers=1):
    """As many as the descriptors of so many processes allow."""
    uneven = UNEVEN if workers > 1 else 1
    return max(0, min(wanted, int((limit - DESCRIPTORS_SPARE) * workers * uneven)))


def settled(pid):
    """Anonymous memory once it does not change any more: who has accepted last has allocated last."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    last = measure.anonymous_kib(pid)
    while time.monotonic() < deadline:
        time.sleep(0.3)
        now = measure.anonymous_kib(pid)
        if now == last:
            break
        last = now
    return last


@contextlib.contextmanager
def fresh(run, server):
    """The server, just started, warm, and with holders for it."""
    server.start(run.cpus()[0], run.folder)
    holders = Holders(server.port, run.given.idle_limit - DESCRIPTORS_SPARE)
    try:
        run.greet(server, "/seed", ACTIVE)
        yield holders
    finally:
        holders.close()
        stop_all([server])


class Idle(Scenario):
    columns = [
        Column("bytes", "bytes/connection", "{:,.0f}", True),
        Column("cpu_us", "CPU µs/request", "{:,.1f}", True),
        Column("cpu_times", "times that without", "{:.2f}"),
        Column("rps", "requests/s", "{:,.0f}", True),
        Column("share", "share of that without", "{:.0%}"),
        Column("held", "held", "{:,.0f}"),
    ]
    pictures = [Bars("bytes", "bytes of user memory a connection (shorter is better)", "{:,.0f}", False),
                Bars("cpu_us", "CPU µs/request of the active ones (shorter is better)", "{:,.1f}", False)]
    main, more_is_better = "bytes", False
    choice = Choice()
    # label: what a holder is told.
    kinds = {"never used": "open", "used once": "use"}

    def __init__(self, name, title, about, workers=1):
        super().__init__(name, title, about)
        self.workers = workers

    def need(self, given):
        return Need(given.threads, self.workers, idle=True)

    def wanted(self, given):
        return how_many(given.idle, given.idle_limit, self.workers)

    def steps(self, given):
        return 2 * given.seconds + 6, given.rounds * len(self.kinds)

    def run(self, run):
        given, tables = run.given, {}
        servers, missing = run.servers(self.need(given), self.choice)
        for label, word in self.kinds.items():
            tables.update(run.rounds(
                servers, [label], lambda server: None, lambda server: {label: self.one(run, server, word)},
                self.steps(given)[0], f"{self.name} {label}",
            ))
        result = self.result(run, tables, missing)
        result["settings"].update(connections=ACTIVE, idle=self.wanted(given))
        return result

    def one(self, run, server, word):
        given = run.given
        wanted = self.wanted(given)
        with fresh(run, server) as holders:
            alone = run.wrk(server, "/seed", given.seconds, ACTIVE)
            before = settled(server.process.pid)
            held = holders.more(word, wanted)
            if held < HELD_MIN * wanted:
                raise Unusable(f"holds {held:,} of {wanted:,} idle connections")
            after = settled(server.process.pid)
            found = run.wrk(server, "/seed", given.seconds, ACTIVE)
            kept = holders.count()
        found["bytes"] = (after - before) * 1024 / held
        found["share"] = found["rps"] / alone["rps"] if alone["rps"] else None
        found["cpu_times"] = found["cpu_us"] / alone["cpu_us"] if found["cpu_us"] and alone["cpu_us"] else None
        found.update(held=kept, alone_rps=alone["rps"], alone_cpu_us=alone["cpu_us"])
        return found


class Growing(Idle):
    """CPU time of active requests as idle connections become more."""

    kind = "growth"
    columns = [Column("cpu_us", "CPU µs/request", "{:,.1f}", True), Column("rps", "requests/s", "{:,.0f}", True)]
    pictures = [Lines("cpu_us", "CPU µs/request", "idle connections", False)]
    main, more_is_better = "cpu_us", False
    choice = Choice(only=("handwound", "granian", "gunicorn", "freastal", "bjoern", "peregrine", "fastpysgi"))
    SHARES = (0, 0.05, 0.1, 0.25, 0.5, 1)

    def points(self, given):
        most = self.wanted(given)
        return [int(most * share) for share in self.SHARES]

    def steps(self, given):
        return (given.seconds + 0.5) * len(self.SHARES) + 3, given.rounds

    def run(self, run):
        servers, missing = run.servers(self.need(run.given), self.choice)
        labels = [str(point) for point in self.points(run.given)]
        tables = run.rounds(
            servers, labels, lambda server: None, lambda server: self.one(run, server, "use"),
            self.steps(run.given)[0], self.name,
        )
        return self.result(run, tables, missing)

    def one(self, run, server, word):
        found, held = {}, 0
        with fresh(run, server) as holders:
            for point in self.points(run.given):
                held = holders.more(word, point - held) if point > held else held
                if held < HELD_MIN * point:
                    raise Unusable(f"holds {held:,} of {point:,} idle connections")
                found[str(point)] = run.wrk(server, "/seed", run.given.seconds, ACTIVE)
        return found


ALL = [
    Idle("idle", "Idle connections", "Thousands of idle connections beside 64 active ones: how much memory of the"
         " server's own each of them takes (anonymous pages of all its processes; the kernel's part is the same"
         " for all), and what they do to the active ones. A connection has either never sent anything, or has made"
         " one request. Timeouts and limits are set so that none is closed."),
    Idle("idle-workers", "Idle connections of four processes", "The same with four processes: 50,000 connections,"
         " where one process may have no more than 20,000 descriptors.", workers=4),
    Growing("growth-idle", "More and more idle connections", "CPU time of a request on 64 active connections,"
            " beside more and more idle ones that were used once: flat, if nobody looks at who has nothing to say."),
]
