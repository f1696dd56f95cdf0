"""Flask applications whose requests change the same thing at the same time."""

import json
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from contextlib import closing, nullcontext
from typing import Any, Dict, List

from flask import Flask, abort, jsonify, request

from bug import answered, ask, bug, fresh


def make_counter(fixed: bool) -> Flask:
    app, lock, visits = Flask(__name__), threading.Lock(), {"n": 0}

    def save(n: int) -> None:
        visits["n"] = n

    @app.get("/visit")
    def visit() -> str:
        with lock if fixed else nullcontext():
            save(visits["n"] + 1)
        return "counted"

    @app.get("/visits")
    def count() -> str:
        return str(visits["n"])

    return app


@bug(make_counter, budget=1000, preempt="gil", shows="2 visits, counted 1")
def lost_update(sim: Any) -> None:
    """A number is read, and saved in another function."""
    both = sim.get("/visit"), sim.get("/visit")
    sim.settle()
    assert answered(*both) == [200, 200]
    counted = ask(sim, "/visits").text
    assert counted == "2", "2 visits, counted %s" % counted


def make_cached_page(fixed: bool) -> Flask:
    app, lock, pages, fills = Flask(__name__), threading.Lock(), {}, []

    def render(name: str) -> str:
        fills.append(name)
        time.sleep(0.2)
        return "<h1>%s</h1>" % name

    @app.get("/page/<name>")
    def page(name: str) -> str:
        with lock if fixed else nullcontext():
            if name not in pages:
                pages[name] = render(name)
            return pages[name]

    @app.get("/fills")
    def filled() -> Any:
        return jsonify(fills)

    return app


@bug(make_cached_page, budget=10, preempt="gates", shows="rendered 2 times")
def cache_filled_twice(sim: Any) -> None:
    """A cache is looked at, and filled when what was missing has been made."""
    both = sim.get("/page/home"), sim.get("/page/home")
    sim.settle()
    assert answered(*both) == [200, 200]
    fills = ask(sim, "/fills").json()
    assert len(fills) == 1, "rendered %d times" % len(fills)


def make_shop(fixed: bool) -> Flask:
    app, lock, store = Flask(__name__), threading.Lock(), {}

    # A store on another machine.
    def load(session: str) -> List[str]:
        time.sleep(0.002)
        return list(json.loads(store.get(session, "[]")))

    def save(session: str, cart: List[str]) -> None:
        time.sleep(0.002)
        store[session] = json.dumps(cart)

    @app.post("/cart/<item>")
    def add(item: str) -> str:
        session = request.cookies["session"]
        with lock if fixed else nullcontext():
            cart = load(session)
            cart.append(item)
            save(session, cart)
        return "added"

    @app.get("/cart")
    def show() -> Any:
        return jsonify(sorted(load(request.cookies["session"])))

    return app


@bug(make_shop, budget=10, preempt="gates", shows="in the cart: \\['(cup|pot)'\\]")
def session_race(sim: Any) -> None:
    """Two requests of one client's session: each loads it, changes it, and saves all of it."""
    cookie = {"Cookie": "session=7"}
    both = sim.post("/cart/cup", headers=cookie), sim.post("/cart/pot", headers=cookie)
    sim.settle()
    assert answered(*both) == [200, 200]
    cart = ask(sim, "/cart", headers=cookie).json()
    assert cart == ["cup", "pot"], "in the cart: %s" % cart


def make_booking(fixed: bool) -> Flask:
    app, path = Flask(__name__), fresh("seats.sqlite")

    def connect() -> Any:
        database = sqlite3.connect(path, isolation_level=None)
        # Nothing here has to outlive a power cut.
        database.execute("PRAGMA synchronous=OFF")
        return closing(database)

    with connect() as database:
        database.execute("CREATE TABLE booking (seat TEXT, name TEXT)")

    @app.post("/book/<seat>/<name>")
    def book(seat: str, name: str) -> str:
        with connect() as database:
            database.execute("BEGIN IMMEDIATE" if fixed else "BEGIN")
            taken = database.execute("SELECT count(*) FROM booking WHERE seat = ?", [seat]).fetchone()[0]
            if not fixed:
                # So that the second to come is not told that it has read what has changed since.
                database.execute("COMMIT")
                database.execute("BEGIN")
            if not taken:
                database.execute("INSERT INTO booking VALUES (?, ?)", [seat, name])
            database.execute("COMMIT")
            return "taken" if taken else "booked"

    @app.get("/booked/<seat>")
    def booked(seat: str) -> Any:
        with connect() as database:
            return jsonify([name for name, in database.execute("SELECT name FROM booking WHERE seat = ?", [seat])])

    return app


@bug(make_booking, budget=200, preempt="gates", shows="2 have seat 1A")
def double_booking(sim: Any) -> None:
    """A seat is looked up in a database, and booked in another transaction."""
    both = sim.post("/book/1A/ann"), sim.post("/book/1A/bob")
    sim.settle()
    assert answered(*both) == [200, 200]
    names = ask(sim, "/booked/1A").json()
    assert len(names) == 1, "%d have seat 1A" % len(names)


class Gateway:
    """What an application should have one of."""

    def __init__(self, made: List[Any]) -> None:
        made.append(self)
        self.number = len(made)


def make_lazy(fixed: bool) -> Flask:
    app, lock = Flask(__name__), threading.Lock()
    made: List[Any] = []
    held: Dict[str, Gateway] = {}

    def gateway() -> Gateway:
        with lock if fixed else nullcontext():
            if "gateway" not in held:
                held["gateway"] = Gateway(made)
            return held["gateway"]

    @app.get("/")
    def index() -> str:
        return "gateway %d" % gateway().number

    @app.get("/gateways")
    def gateways() -> str:
        return str(len(made))

    return app


@bug(make_lazy, budget=1000, preempt="gil", shows="2 gateways")
def made_twice(sim: Any) -> None:
    """What there is to be one of is made when it is first wanted."""
    both = sim.get("/"), sim.get("/")
    sim.settle()
    assert answered(*both) == [200, 200]
    count = ask(sim, "/gateways").text
    assert count == "1", "%s gateways" % count


def make_settings(fixed: bool) -> Flask:
    app, path = Flask(__name__), fresh("settings.json")

    def write(settings: Any) -> None:
        written = path + ".new" if fixed else path
        with open(written, "w") as file:
            json.dump(settings, file)
        os.replace(written, path)

    write({"colour": "red"})

    @app.put("/colour/<name>")
    def put(name: str) -> str:
        write({"colour": name})
        return "written"

    @app.get("/colour")
    def colour() -> str:
        with open(path) as file:
            return str(json.load(file)["colour"])

    return app


@bug(make_settings, budget=200, preempt="gates", shows="read while written: 500")
def file_replaced_in_place(sim: Any) -> None:
    """A file is emptied and written again, while another request reads it."""
    written, read = sim.request("PUT", "/colour/blue"), sim.get("/colour")
    sim.settle()
    assert written.status == 200
    assert read.status == 200 and read.text in ("red", "blue"), "read while written: %d" % read.status


def make_basket(fixed: bool) -> Flask:
    app, prices = Flask(__name__), {"cup": 3, "pot": 9}

    def with_tax(price: int) -> int:
        return price * 120 // 100

    @app.get("/total")
    def total() -> str:
        total = 0
        # `list` of it is made in one go: no other thread runs meanwhile.
        for _, price in list(prices.items()) if fixed else prices.items():
            total += with_tax(price)
        return str(total)

    @app.post("/add/<name>")
    def add(name: str) -> str:
        prices[name] = 5
        return "added"

    return app


@bug(make_basket, budget=1000, preempt="gil", shows="the total is a 500")
def changed_while_iterated(sim: Any) -> None:
    """A dictionary gets another key while it is iterated."""
    total, added = sim.get("/total"), sim.post("/add/jug")
    sim.settle()
    assert added.status == 200
    assert total.status == 200, "the total is a %d" % total.status


def make_orders(fixed: bool) -> Flask:
    app, lock, last, orders = Flask(__name__), threading.Lock(), [0], []

    def store(number: int, item: str) -> None:
        last[0] = number
        orders.append((number, item))

    @app.post("/order/<item>")
    def order(item: str) -> str:
        with lock if fixed else nullcontext():
            number = last[0] + 1
            store(number, item)
        return str(number)

    return app


@bug(make_orders, budget=1000, preempt="gil", shows="both are order 1")
def same_number_twice(sim: Any) -> None:
    """A counter gives orders their numbers, and moves on in another function."""
    both = sim.post("/order/cup"), sim.post("/order/pot")
    sim.settle()
    assert answered(*both) == [200, 200]
    numbers = [one.text for one in both]
    assert len(set(numbers)) == 2, "both are order %s" % numbers[0]


def make_limited(fixed: bool) -> Flask:
    app, lock, calls = Flask(__name__), threading.Lock(), []

    def recent(now: float) -> List[float]:
        return [time for time in calls if now - time < 60]

    def may_pass(limit: int) -> bool:
        with lock if fixed else nullcontext():
            now = time.monotonic()
            if len(recent(now)) >= limit:
                return False
            calls.append(now)
            return True

    @app.get("/")
    def index() -> str:
        if not may_pass(2):
            abort(429)
        return "passed"

    return app


@bug(make_limited, budget=1000, preempt="gil", shows="3 of 3 passed", workers=3)
def rate_limit_passed(sim: Any) -> None:
    """Calls of the last minute are counted, and then one is added."""
    three = [sim.get("/") for _ in range(3)]
    sim.settle()
    passed = answered(*three).count(200)
    assert passed == 2, "%d of 3 passed" % passed
    sim.advance(60)
    assert ask(sim, "/").status == 200


def make_lru(fixed: bool) -> Flask:
    app, lock, cache, hits = Flask(__name__), threading.Lock(), OrderedDict(), []

    def count(key: str) -> None:
        hits.append(key)

    def lookup(key: str) -> str:
        with lock if fixed else nullcontext():
            if key in cache:
                count(key)
                cache.move_to_end(key)
                return str(cache[key])
            cache[key] = key.upper()
            if len(cache) > 1:
                cache.popitem(last=False)
            return str(cache[key])

    @app.get("/<key>")
    def index(key: str) -> str:
        return lookup(key)

    return app


@bug(make_lru, budget=1000, preempt="gil", shows="looked up: \\[.*500")
def evicted_while_looked_up(sim: Any) -> None:
    """A key is in the cache, until another request evicts it."""
    assert ask(sim, "/one").status == 200
    both = sim.get("/one"), sim.get("/two")
    sim.settle()
    statuses = answered(*both)
    assert statuses == [200, 200], "looked up: %s" % statuses


def make_greeter(fixed: bool) -> Flask:
    app, local = Flask(__name__), threading.local()

    @app.before_request
    def who() -> None:
        if fixed:
            local.user = None
        if "X-User" in request.headers:
            local.user = request.headers["X-User"]

    @app.get("/")
    def index() -> str:
        return "hello %s" % (getattr(local, "user", None) or "stranger")

    return app


@bug(make_greeter, budget=20, preempt="gates", shows="a stranger is told: hello ann")
def kept_from_the_last_request(sim: Any) -> None:
    """What a request has put into a thread-local is there for the next one on the same worker."""
    assert ask(sim, "/", headers={"X-User": "ann"}).text == "hello ann"
    both = sim.get("/"), sim.get("/")
    sim.settle()
    for one in both:
        assert one.text == "hello stranger", "a stranger is told: %s" % one.text


def make_report(fixed: bool) -> Flask:
    app, report = Flask(__name__), {"now": {"rows": [], "total": 0}}

    def refresh(rows: List[int]) -> None:
        if fixed:
            report["now"] = {"rows": rows, "total": sum(rows)}
        else:
            report["now"]["rows"] = rows
            report["now"]["total"] = sum(rows)

    @app.post("/refresh")
    def start() -> str:
        threading.Thread(target=refresh, args=([1, 2, 3],)).start()
        return "started"

    @app.get("/report")
    def show() -> Any:
        now = report["now"]
        return jsonify(rows=now["rows"], total=now["total"])

    return app


@bug(make_report, budget=1000, preempt="gil", shows="the total of \\[1, 2, 3\\] is 0")
def half_written(sim: Any) -> None:
    """A thread in the background writes two things that belong together, one after the other."""
    started, shown = sim.post("/refresh"), sim.get("/report")
    sim.settle()
    assert answered(started, shown) == [200, 200]
    report = shown.json()
    assert sum(report["rows"]) == report["total"], "the total of %(rows)s is %(total)s" % report


def make_payments(fixed: bool) -> Flask:
    app, lock, known, charges = Flask(__name__), threading.Lock(), {}, []

    @app.post("/charge")
    def charge() -> str:
        key = request.headers["Idempotency-Key"]
        with lock if fixed else nullcontext():
            if key not in known:
                # The bank takes its time.
                time.sleep(0.5)
                charges.append(key)
                known[key] = "charge %d" % len(charges)
            return str(known[key])

    return app


@bug(make_payments, budget=10, preempt="gates", shows="charged: charge 1, charge 2")
def key_recorded_too_late(sim: Any) -> None:
    """The key that keeps a payment from being made twice is recorded when the payment has been made."""
    both = [sim.post("/charge", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    sim.settle()
    assert answered(*both) == [200, 200]
    charged = sorted({one.text for one in both})
    assert charged == ["charge 1"], "charged: %s" % ", ".join(charged)
