"""The same over TLS: what encryption costs each server."""

from roster import Need
from scenarios.base import Bars, Choice, Column, Scenario
from servers import Unusable

# label: path, header. The last has a handshake for each request.
LOADS = {"/seed": ("/seed", ()), "/big": ("/big", ()), "handshakes": ("/hello", ("Connection: close",))}


class Tls(Scenario):
    columns = [
        Column("rps", "requests/s", "{:,.0f}", True),
        Column("cpu_us", "CPU µs/request", "{:,.1f}", True),
        Column("plain_cpu_us", "without TLS", "{:,.1f}", True),
        Column("cpu_times", "times the plain CPU", "{:.2f}"),
        Column("share", "share of the plain requests/s", "{:.0%}"),
        Column("p99_ms", "p99 ms", "{:,.2f}"),
    ]
    pictures = [
        Bars("cpu_us", "CPU µs/request over TLS (shorter is better)", "{:,.1f}", False),
        Bars("plain_cpu_us", "and without (shorter is better)", "{:,.1f}", False),
    ]
    main, more_is_better = "cpu_us", False
    choice = Choice(floor=False)

    def need(self, given):
        return Need(given.threads, tls=True)

    def steps(self, given):
        return 2 * given.seconds + 0.6, given.rounds * len(LOADS)

    def run(self, run):
        given, tables = run.given, {}
        with run.started(self.need(given), self.choice) as (secure, missing):
            names = {server.name for server in secure}
            plain_too = Choice(only=names, floor=False)
            plain_too.wants = lambda peer: peer.name in names
            with run.started(Need(given.threads), plain_too) as (plain, _):
                twins = {server.name: server for server in plain}
                for label, (path, headers) in LOADS.items():
                    tables.update(run.rounds(
                        secure, [label], lambda server: self.greet(run, server, twins, path),
                        lambda server: {label: self.one(run, server, twins[server.name], path, headers)},
                        self.steps(given)[0], f"{self.name} {label}",
                    ))
        return self.result(run, tables, missing)

    def greet(self, run, server, twins, path):
        if server.name not in twins:
            raise Unusable("does not start without TLS")
        run.greet(twins[server.name], path, run.given.connections)
        return run.greet(server, path, run.given.connections)

    def one(self, run, server, twin, path, headers):
        given = run.given
        plain = run.wrk(twin, path, given.seconds, given.connections, headers=headers)
        found = run.wrk(server, path, given.seconds, given.connections, headers=headers)
        found.update(plain_rps=plain["rps"], plain_cpu_us=plain["cpu_us"])
        found["share"] = found["rps"] / plain["rps"] if plain["rps"] else None
        found["cpu_times"] = found["cpu_us"] / plain["cpu_us"] if found["cpu_us"] and plain["cpu_us"] else None
        return found


ALL = [
    Tls("tls", "HTTPS", "The tutorial's application, 1 MiB in one piece, and a connection with a handshake for"
        " each request, over TLS 1.3 where both can, with a self-signed ECDSA certificate; and the same without"
        " TLS in the same round."),
]
