"""How many simulations, and requests in them, there are to a second of processor time.

    python tests/simulate/speed.py [counter] [flask] [django] [--runs N]

The time of a process with many runs less that of one with a few, so that neither starting Python nor importing a framework
counts. A run of `counter` is a simulation with two requests in flight; one of the others has a hundred requests on four
connections. Flask and Django are skipped, by name, where they are not installed. Build with `--release` before.
"""

import argparse
import importlib.util
import os
import resource
import statistics
import sys

from handwound import testing
from handwound.testing import _child

# What the process of the simulation, which runs this file too, is to make.
WHICH = os.environ.get("HANDWOUND_SPEED", "counter")
PREEMPT = os.environ.get("HANDWOUND_SPEED_PREEMPT", "gil")
RUNS = int(os.environ.get("HANDWOUND_SPEED_RUNS", "10"))
REQUESTS = {"counter": 2, "flask": 100, "django": 100}
CONNECTIONS = 4
ROUNDS = 5
FEW = 2

counter = {"n": 0}


def save(number):
    counter["n"] = number


def counting(environ, start_response):
    save(counter["n"] + 1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"saved"]


def with_flask():
    import flask

    app = flask.Flask("speed")
    app.add_url_rule("/", view_func=lambda: {"hello": "world"})
    return app


def with_django():
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import JsonResponse
    from django.urls import path

    globals()["urlpatterns"] = [path("", lambda request: JsonResponse({"hello": "world"}))]
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="-", DEBUG=False)
    django.setup()
    return get_wsgi_application()


def application():
    if not _child.is_here():
        # Only the other process needs it.
        return counting
    return {"counter": lambda: counting, "flask": with_flask, "django": with_django}[WHICH]()


@testing.simulate(app=application(), workers=2, seeds=RUNS, preempt=PREEMPT)
def requests(sim):
    if WHICH == "counter":
        answers = [sim.get("/"), sim.get("/")]
        sim.settle_now()
    else:
        clients = [sim.connect() for _ in range(CONNECTIONS)]
        for _ in range(REQUESTS[WHICH] // CONNECTIONS):
            answers = [client.get("/") for client in clients]
            sim.settle_now()
    assert all(answer.status == 200 for answer in answers)


def seconds(which, preempt, runs):
    """Of the processor, for a process with so many runs."""
    os.environ.update(HANDWOUND_SPEED=which, HANDWOUND_SPEED_PREEMPT=preempt, HANDWOUND_SPEED_RUNS=str(runs))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    requests()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", choices=[*REQUESTS, []], help="all, when none is named")
    parser.add_argument("--runs", type=int, help="in each process [1000, or 40 with a framework]")
    options = parser.parse_args()
    print("Python %s, median of %d" % (sys.version.split()[0], ROUNDS))
    print("%-8s %-7s %14s %14s" % ("", "preempt", "simulations/s", "requests/s"))
    for which in options.which or REQUESTS:
        if which != "counter" and importlib.util.find_spec(which) is None:
            print("SKIPPED %s: it is not installed" % which)
            continue
        runs = options.runs or (1000 if which == "counter" else 40)
        for preempt in ("gates", "gil"):
            rates = []
            for _ in range(ROUNDS):
                spent = seconds(which, preempt, runs + FEW) - seconds(which, preempt, FEW)
                rates.append(runs / spent)
            rate = statistics.median(rates)
            print("%-8s %-7s %14s %14s" % (which, preempt, "{:,.0f}".format(rate), "{:,.0f}".format(rate * REQUESTS[which])))


if __name__ == "__main__":
    main()
