"""One run of the bench: what scenarios use to start servers, to go round them, and to measure one after the other."""

import contextlib
import fcntl
import os
import time

import answers
import environment
import measure
import roster
from scenarios.base import ADMISSION_SECONDS
from servers import HERE, Server, Unusable, say, stop_all


class Quiet:
    """An exclusive lock that measurements hold, so that others who take it wait; for a while at a time."""

    SECONDS_MAX = 75

    def __init__(self, path):
        self.file = open(path, "a") if path else None
        self.since, self.waited_seconds = None, 0.0

    def begin(self):
        if self.file and self.since is None:
            asked = time.monotonic()
            fcntl.flock(self.file, fcntl.LOCK_EX)
            self.since = time.monotonic()
            self.waited_seconds += self.since - asked

    def clock(self):
        """Time without that spent waiting for others."""
        return time.monotonic() - self.waited_seconds

    def end(self, next_seconds=0):
        """Gives the lock back once the next measurement would hold it for too long."""
        if self.since is not None and time.monotonic() - self.since + next_seconds > self.SECONDS_MAX:
            self.release()

    def release(self):
        if self.since is not None:
            fcntl.flock(self.file, fcntl.LOCK_UN)
            self.since = None


class Progress:
    """How much is done, and by that how long the rest takes. `tell` says it."""

    def __init__(self, planned_seconds, tell=say, clock=time.monotonic):
        self.planned, self.done, self.tell, self.clock = max(planned_seconds, 1e-9), 0.0, tell, clock
        self.began = clock()

    def spend(self, seconds):
        self.done = min(self.done + seconds, self.planned)

    def step(self, seconds, text):
        self.spend(seconds)
        self.tell(f"[{self.done / self.planned:4.0%}, {duration(self.left_seconds())} left] {text}")

    def settle(self, done):
        """At the end of a scenario: as much is done as was planned until then."""
        self.done = min(done, self.planned)

    def left_seconds(self):
        if not self.done:
            return self.planned
        return (self.clock() - self.began) / self.done * (self.planned - self.done)


def duration(seconds):
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


class Run:
    """The settings, the Pythons, what was compiled, and a folder that is gone in the end."""

    def __init__(self, given, interpreters, folder, progress=None, quiet=None):
        self.given, self.interpreters, self.folder = given, interpreters, folder
        self.progress, self.quiet = progress or Progress(1), quiet or Quiet(None)
        self.built = {}

    def cpus(self, pinned=True):
        """(that of the server, that of wrk); None is any."""
        given = self.given
        return (given.server_cpu, given.wrk_cpu) if pinned and not given.unpinned else (None, None)

    def build(self, what):
        """The program `floor`, `hyper` or `example`; a ValueError says why there is none. Built once."""
        if what not in self.built:
            builders = {
                "floor": lambda: environment.build_floor(self.given.build),
                "hyper": lambda: environment.build_hyper(self.given.build),
                "example": lambda: self.given.rust_example or environment.build_example(),
            }
            try:
                self.built[what] = builders[what]() or ValueError("no C compiler, or no epoll")
            except ValueError as problem:
                self.built[what] = problem
        if isinstance(self.built[what], ValueError):
            raise self.built[what]
        return self.built[what]

    def peers(self, group):
        """([(peer, words for its command)], {name: why not}): `wsgi` or `rust`, floor included."""
        words = {"here": HERE, "handwound": os.path.abspath(self.given.handwound), "many": self.given.many_threads}
        words.update(self.interpreters[0].words())
        found, missing = [], {}
        if group == "rust":
            found = [(peer, words) for peer in roster.RUST]
        else:
            own = [(peer, words) for peer in roster.handwound_peers(self.given.many_threads)]
            if os.path.exists(words["handwound"]):
                found += own
            else:
                why = f"no {words['handwound']}; build it with cargo build --release, or name it with --handwound"
                missing["handwound"] = why
            for one in self.interpreters:
                some, others = roster.known_to(one, words)
                found += some
                missing.update(others)
            added = [one.split("=", 1) for one in self.given.add]
            found += [(roster.Peer(name, None, command), words) for name, command in added]
        found.append((roster.FLOOR, words))
        return found, missing

    def servers(self, need, choice):
        """(servers that may be tried, {name: why not}); `choice` says which of the peers a scenario wants."""
        found, missing = self.peers(choice.group)
        servers = []
        for peer, words in found:
            if not (choice.wants(peer) and self.is_asked_for(peer.name)):
                continue
            try:
                words = dict(words)
                for what in ("floor", "hyper", "example"):
                    if f"{{{what}}}" in peer.command:
                        words[what] = self.build(what)
                if need.tls:
                    words["cert"], words["key"] = environment.make_certificate(self.folder)
                only = ("/seed", "/hello") if peer.name == "floor" else None
                command = roster.fill(peer, need, words)
                servers.append(Server(peer.name, command, only, need.tls, need.idle))
            except ValueError as problem:
                missing[peer.name] = str(problem)
        missing = {name: why for name, why in missing.items() if choice.wants_name(name) and self.is_asked_for(name)}
        return servers, missing

    def is_asked_for(self, name):
        given = self.given
        return (not given.only or name in given.only.split(",")) and name not in given.skip.split(",")

    @contextlib.contextmanager
    def started(self, need, choice, pinned=True):
        """(servers that listen, {name: why not} for the others); all are stopped in the end."""
        tried, missing = self.servers(need, choice)
        running = []
        try:
            for server in tried:
                # Starting takes CPU time too, which would disturb others who measure.
                self.quiet.begin()
                try:
                    server.start(self.cpus(pinned)[0], self.folder)
                    running.append(server)
                except Unusable as problem:
                    missing[server.name] = str(problem)
                    say(f"left out: {server.name}: {problem}")
                self.quiet.end(ADMISSION_SECONDS)
            yield running, missing
        finally:
            stop_all(tried)

    def rounds(self, servers, labels, admit, one, seconds, title):
        """Round after round, one measurement of each server; a table a label.

        `admit(server)` may raise, or return notes; `one(server)` returns {label: {metric: value}}, and takes about
        `seconds`. Who fails is noted, and left out of the rounds that come.
        """
        tables = {label: {} for label in labels}
        admitted = []
        for server in servers:
            notes = []
            for label in labels:
                tables[label][server.name] = {"rounds": [], "notes": notes}
            try:
                self.quiet.begin()
                notes += admit(server) or []
                admitted.append(server)
            except (Unusable, ValueError, OSError) as problem:
                notes.append(f"disqualified: {problem}")
                say(f"{title}: {server.name} disqualified: {problem}")
            self.progress.spend(self.given.warm_up + ADMISSION_SECONDS)
            self.quiet.end(seconds)
        for number in range(self.given.rounds):
            for server in list(admitted):
                text = f"{title}: round {number + 1}/{self.given.rounds}: {server.name}"
                try:
                    self.quiet.begin()
                    found = one(server)
                    for label, metrics in found.items():
                        tables[label][server.name]["rounds"].append(metrics)
                    self.progress.step(seconds, f"{text}: {summary(found)}")
                except (Unusable, ValueError, OSError) as problem:
                    tables[labels[0]][server.name]["notes"].append(f"stopped in round {number + 1}: {problem}")
                    admitted.remove(server)
                    self.progress.step(seconds, f"{text} stopped: {problem}")
                self.quiet.end(seconds)
        self.quiet.release()
        return tables

    def wrk(self, server, path, seconds, connections, pinned=True, script=None, headers=()):
        """One run of wrk, and what the server spent on it: on all that it did meanwhile, connecting included."""
        before = measure.Cpu(server.process.pid)
        started = measure.start_wrk(server.url(path), seconds, connections, self.cpus(pinned)[1], script, headers)
        one = measure.end_of_wrk(started)
        spent = measure.Cpu(server.process.pid).since(before)
        one["cpu_us"] = spent / 1000 / one["requests"] if spent is not None and one["requests"] else None
        one["memory_mib"] = measure.memory_mib(server.process.pid)
        return one

    def body_script(self, size):
        """wrk's side of a POST with a body of so many bytes."""
        path = os.path.join(self.folder, f"body-{size}.lua")
        with open(path, "w") as file:
            file.write(
                f'wrk.method = "POST"\nwrk.body = string.rep("z", {size})\n'
                'wrk.headers["Content-Type"] = "application/octet-stream"\n'
            )
        return path

    def greet(self, server, path, connections, pinned=True, script=None):
        """For `admit`: the answers are right, and everything is warm."""
        kept = answers.verify(server.port, path, server.tls)
        if self.given.warm_up:
            measure.end_of_wrk(measure.start_wrk(
                server.url(path), self.given.warm_up, connections, self.cpus(pinned)[1], script
            ))
        return [] if kept else ["closes the connection after each answer"]


def summary(found):
    """Of one round, for who watches."""
    last = list(found.values())[-1] if found else {}
    parts = []
    for key, form in (("rps", "{:,.0f}/s"), ("cpu_us", "{:.1f} µs"), ("share", "{:.0%}"), ("answer_ms", "{:,.0f} ms")):
        if last.get(key) is not None:
            parts.append(form.format(last[key]))
    return " ".join([*parts, last.get("errors") or ""]).strip()
