"""Flask applications whose requests wait for each other: for ever, or for too long."""

import queue
import threading
import time
from typing import Any

from flask import Flask, abort

from bug import answered, bug


def make_bank(fixed: bool) -> Flask:
    app = Flask(__name__)
    balances, locks = {"a": 10, "b": 10}, {"a": threading.Lock(), "b": threading.Lock()}

    def is_open(account: str) -> bool:
        return account in balances

    @app.post("/move/<source>/<target>")
    def move(source: str, target: str) -> str:
        first, second = sorted([source, target]) if fixed else (source, target)
        with locks[first]:
            # Without a call here CPython 3.11 would not let others go on before it has the second.
            if not is_open(first):
                abort(404)
            with locks[second]:
                balances[source] -= 1
                balances[target] += 1
        return "moved"

    return app


@bug(make_bank, budget=1000, preempt="gil", shows="no response to POST /move")
def lock_order(sim: Any) -> None:
    """Each transfer locks the account it takes from first."""
    both = sim.post("/move/a/b"), sim.post("/move/b/a")
    sim.settle()
    assert answered(*both) == [200, 200]
    assert sim.deadlock is None


def make_prices(fixed: bool) -> Flask:
    app, lock, prices = Flask(__name__), threading.Lock(), {}

    @app.put("/price/<name>/<price>")
    def put(name: str, price: str) -> str:
        lock.acquire()
        if not fixed:
            prices[name] = float(price)
            lock.release()
            return "set"
        try:
            prices[name] = float(price)
        except ValueError:
            abort(400)
        finally:
            lock.release()
        return "set"

    return app


@bug(make_prices, budget=10, preempt="gates", shows="no response to PUT /price/cup/3")
def not_unlocked(sim: Any) -> None:
    """An exception leaves a lock locked."""
    wrong = sim.request("PUT", "/price/cup/three")
    sim.settle()
    right = sim.request("PUT", "/price/cup/3")
    sim.settle()
    assert wrong.status in (400, 500)
    assert right.status == 200
    assert sim.deadlock is None


def make_pool(fixed: bool) -> Flask:
    app, pool = Flask(__name__), queue.Queue()
    for connection in ("one", "two"):
        pool.put(connection)

    @app.get("/item/<name>")
    def item(name: str) -> Any:
        connection = pool.get()
        if name == "nothing":
            if fixed:
                pool.put(connection)
            return "no such item", 404
        time.sleep(0.01)
        pool.put(connection)
        return name

    return app


@bug(make_pool, budget=10, preempt="gates", shows="no response to GET /item/cup", workers=4)
def pool_exhausted(sim: Any) -> None:
    """An early return keeps a connection of a pool of two."""
    missing = [sim.get("/item/nothing") for _ in range(2)]
    there = [sim.get("/item/cup") for _ in range(2)]
    sim.settle()
    assert answered(*missing, *there) == [404, 404, 200, 200]
    assert sim.deadlock is None


def make_jobs(fixed: bool) -> Flask:
    app, ready, jobs = Flask(__name__), threading.Condition(), []

    @app.get("/take")
    def take() -> str:
        with ready:
            if fixed:
                while not jobs:
                    ready.wait()
            elif not jobs:
                ready.wait()
            return str(jobs.pop())

    @app.post("/put/<job>")
    def put(job: str) -> str:
        with ready:
            jobs.append(job)
            ready.notify()
        return "put"

    return app


@bug(make_jobs, budget=300, preempt="gates", shows="takers got \\[.*500", workers=3)
def waited_once(sim: Any) -> None:
    """Who waits for a condition does not look again when it has been woken: another may have taken what there was."""
    first = sim.get("/take")
    sim.settle_now()
    put, second = sim.post("/put/one"), sim.get("/take")
    sim.settle_now()
    assert put.status == 200
    # One taker waits still.
    sim.post("/put/two")
    sim.settle()
    statuses = answered(first, second)
    assert statuses == [200, 200], "takers got %s" % statuses


def make_preview(fixed: bool) -> Flask:
    app, ready = Flask(__name__), threading.Event()

    def render() -> None:
        ready.set()

    @app.get("/preview")
    def preview() -> str:
        worker = threading.Thread(target=render)
        if fixed:
            ready.clear()
        worker.start()
        if not fixed:
            ready.clear()
        ready.wait()
        return "rendered"

    return app


@bug(make_preview, budget=200, preempt="gates", shows="no response to GET /preview")
def set_before_cleared(sim: Any) -> None:
    """An event is cleared after what sets it was started."""
    preview = sim.get("/preview")
    sim.settle()
    assert preview.status == 200
    assert sim.deadlock is None


def make_calculator(fixed: bool) -> Flask:
    app = Flask(__name__)
    questions: Any = queue.Queue()
    answers: Any = queue.Queue()

    def work() -> None:
        while True:
            number, seconds, reply = questions.get()
            time.sleep(seconds)
            reply.put(number * number)

    threading.Thread(target=work, daemon=True).start()

    @app.get("/square/<int:number>/<float:seconds>")
    def square(number: int, seconds: float) -> Any:
        reply = queue.Queue() if fixed else answers
        questions.put((number, seconds, reply))
        try:
            return str(reply.get(timeout=1))
        except queue.Empty:
            return "too late", 504

    return app


@bug(make_calculator, budget=10, preempt="gates", shows="the square of 2 is 9")
def late_answer(sim: Any) -> None:
    """A request goes without an answer after a second; the answer comes, and the next request takes it for its own."""
    slow = sim.get("/square/3/1.5")
    sim.advance(1)
    assert slow.status == 504
    quick = sim.get("/square/2/0.1")
    sim.advance(1)
    assert quick.status == 200
    assert quick.text == "4", "the square of 2 is %s" % quick.text
