"""What a request costs as bodies and their pieces become more: in proportion, or worse."""

import os
import subprocess
import sys

import measure
from roster import Need
from scenarios.base import Choice, Column, Lines, Scenario
from servers import HERE

KIB = 1024
SIZES = [KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB]
PIECES = [1, 4, 16, 64, 256, 1024]
SEGMENTED_BODY = 64 * KIB
SERVERS = ("handwound", "granian", "gunicorn", "freastal", "bjoern", "peregrine", "waitress")


class Growth(Scenario):
    """`path` with each of `points` behind it; the points are the labels of the tables."""

    columns = [Column("cpu_us", "CPU µs/request", "{:,.1f}", True), Column("rps", "requests/s", "{:,.0f}", True)]
    kind = "growth"
    main, more_is_better = "cpu_us", False
    choice = Choice(only=SERVERS, floor=False)
    connections = 8

    def __init__(self, name, title, about, path, points, x_title):
        super().__init__(name, title, about)
        self.path, self.points = path, points
        self.pictures = [Lines("cpu_us", "CPU µs/request", x_title, True, True)]

    def steps(self, given):
        return given.seconds + 0.3, given.rounds * len(self.points)

    def run(self, run):
        tables = {}
        with run.started(Need(run.given.threads), self.choice) as (running, missing):
            for point in self.points:
                label = str(point)
                tables.update(run.rounds(
                    running, [label], lambda server: self.greet(run, server, point),
                    lambda server: {label: self.one(run, server, point)}, self.steps(run.given)[0],
                    f"{self.name} {point}",
                ))
        result = self.result(run, tables, missing)
        result["settings"].update(connections=self.connections)
        return result

    def script(self, run, point):
        return run.body_script(point) if self.path == "/length" else None

    def greet(self, run, server, point):
        return run.greet(server, f"{self.path}/{point}", self.connections, script=self.script(run, point))

    def one(self, run, server, point):
        script = self.script(run, point)
        return run.wrk(server, f"{self.path}/{point}", run.given.seconds, self.connections, script=script)


class Segments(Growth):
    """wrk sends a body as one; segments.py cuts it."""

    def greet(self, run, server, point):
        return run.greet(server, f"/length/{SEGMENTED_BODY}", self.connections,
                         script=run.body_script(SEGMENTED_BODY))

    def one(self, run, server, point):
        command = [sys.executable, os.path.join(HERE, "segments.py"), str(server.port), str(point),
                   str(run.given.seconds), str(self.connections)]
        before = measure.Cpu(server.process.pid)
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=measure.prepared(run.cpus()[1]),
        )
        if done.returncode:
            raise ValueError((done.stderr.strip().splitlines() or ["no message"])[-1])
        requests, seconds = done.stdout.split()
        spent = measure.Cpu(server.process.pid).since(before)
        return {"requests": int(requests), "rps": int(requests) / float(seconds), "errors": "",
                "cpu_us": spent / 1000 / int(requests) if spent is not None and int(requests) else None}


ALL = [
    Growth("growth-request", "Larger and larger request bodies", "A POST whose body the application reads as a"
           " whole, from 1 KiB to 4 MiB. The dotted line is proportional growth.", "/length", SIZES,
           "bytes of the request body"),
    Growth("growth-response", "Larger and larger responses", "A response in one piece, from 1 KiB to 4 MiB. The"
           " dotted line is proportional growth.", "/bytes", SIZES, "bytes of the response body"),
    Segments("growth-segments", "Request bodies in more and more segments", "A POST of 64 KiB, sent in 1 to 1,024"
             " segments, each a packet of its own. The dotted line is proportional growth.", "/length", PIECES,
             "segments"),
    Growth("growth-pieces", "Responses in more and more pieces", "A response of 64 KiB that the application yields"
           " in 1 to 1,024 pieces. The dotted line is proportional growth.", "/pieces", PIECES, "pieces"),
]
