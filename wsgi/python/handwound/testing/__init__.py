"""Concurrency tests for Python web applications, as they are: whole requests in flight, blocking calls inside, no time
passing, and the same run again for the same seed.

::

    from handwound import testing

    counter = {"n": 0}

    def save(n):
        time.sleep(0.01)                     # virtual: others go on, and no time passes
        counter["n"] = n

    def app(environ, start_response):
        save(counter["n"] + 1)
        start_response("200 OK", [])
        return [b"saved"]

    @testing.simulate(app=app, workers=2, seeds=500)
    def test_counter(sim):
        a, b = sim.get("/inc"), sim.get("/inc")      # both in flight
        sim.settle()
        assert (a.status, b.status) == (200, 200)
        assert counter["n"] == 2

The test runs once for each seed, in a process of its own: an ordinary Python in which whatever waits, tells the time or
draws chance is led to the simulation, below Python, where locks, sleeps and sockets come from. A run that fails is made
small, shown, and can be had again by one line. Under pytest there is nothing to set up; elsewhere call the function.

For CPython 3.9 to 3.13 on Linux with glibc.
"""

from handwound.testing._decorator import simulate
from handwound.testing._errors import Failed, NotSimulated, SimulationOver, Unsupported
from handwound.testing._sim import Client, Exchange, Response, Sim

__all__ = [
    "Client",
    "Exchange",
    "Failed",
    "NotSimulated",
    "Response",
    "Sim",
    "SimulationOver",
    "Unsupported",
    "simulate",
]
