"""What a test has of its simulation: requests, clients of all kinds, the clock, choices, faults, searches, views."""

import asyncio
import errno
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from handwound import testing
from handwound.testing import _preempt

asked = []
counter = {"n": 0}
lock = threading.Lock()


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(5)
    body = environ["wsgi.input"].read()
    asked.append(path)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Time", "%.1f" % time.time())])
    return [body or b"x" * 100]


def save(number):
    counter["n"] = number


def counting(environ, start_response):
    with lock:
        save(counter["n"] + 1)
    start_response("200 OK", [])
    return [b"saved"]


@testing.simulate(app=app, seeds=20)
def test_time_passes_when_the_test_says_so(sim):
    slow = sim.get("/slow")
    sim.settle_now()
    assert not slow.done and sim.now == 0
    sim.advance(4.9)
    assert not slow.done
    sim.advance(0.2)
    assert slow.status == 200
    assert slow.response.header("x-time") == "784111782.0"


@testing.simulate(app=app, seeds=50)
def test_requests_have_bodies_and_nothing_is_left(sim):
    plain, json, form = sim.post("/a", body=b"hello"), sim.post("/b", json={"n": 1}), sim.post("/c", data={"q": "1 2"})
    sim.settle_now()
    assert (plain.text, json.json(), form.text) == ("hello", {"n": 1}, "q=1+2")
    sim.settle()
    sim.assert_clean()
    assert sorted(asked) == ["/a", "/b", "/c"]


@testing.simulate(app=app, seeds=20)
def test_one_connection_has_many_requests(sim):
    client = sim.connect()
    first, second = client.get("/a"), client.request("PUT", "/b", body=b"second")
    sim.settle_now()
    assert (first.status, second.text, client.parting) == (200, "second", "open")
    client.finish()
    sim.settle()
    assert client.parting == "finished"


@testing.simulate(app=app, workers=1, seeds=40, network="rough")
def test_clients_are_slow_and_break_off(sim):
    broken = sim.connect().reset_at(sim.choose("byte", 60))
    broken.request("POST", "/broken", body=b"hello")
    cut = sim.connect().cut_at(50, of_response=True)
    cut.get("/cut")
    slow = sim.connect().write_in(3, 0.01)
    answer = slow.request("POST", "/from-a-slow-one", body=b"world")
    sim.settle()
    assert answer.text == "world"
    assert cut.responses == []


@testing.simulate(app=app, workers=1, seeds=5)
def test_a_client_that_does_not_read_holds_up_itself_only(sim):
    lazy = sim.connect().window(10)
    lazy.get("/lazy")
    other = sim.get("/other")
    sim.settle_now()
    assert other.status == 200 and lazy.received == b""
    assert lazy.read(5) == 5 and lazy.received == b"HTTP/"
    lazy.read_eagerly()
    sim.settle_now()
    assert lazy.responses[0].status == 200


@testing.simulate(app=app, seeds=30)
def test_what_goes_wrong_is_for_the_seed_to_say(sim):
    struck = sim.allow_trouble("accepts", "peers", "date")
    assert set(struck) <= {"accepts", "peers", "date"}
    sim.accept_fails_once(errno.EMFILE)
    answer = sim.get("/a")
    sim.settle()
    assert answer.status == 200


@testing.simulate(app=app, seeds=2)
def test_the_date_jumps_and_durations_do_not(sim):
    before = time.time(), time.monotonic()
    sim.date_jumps(-3600)
    assert (time.time() - before[0], time.monotonic() - before[1]) == (-3600, 0)


@testing.simulate(seeds=1)
def test_a_thread_cannot_be_started(sim):
    sim.start_fails_once()
    try:
        threading.Thread(target=print).start()
    except RuntimeError as error:
        assert "can't start new thread" in str(error)
    else:
        raise AssertionError("it was started")


@testing.simulate(search="answers")
def test_every_answer_is_tried(sim):
    letters = sim.choose("letter", "ab") + sim.choose("letter", "xyz")
    asked.append(letters)
    # Each run begins with what was there at first.
    assert asked == [letters]


@testing.simulate(app=counting, search="bounded", depth=1)
def test_no_order_with_one_preemption_loses_an_update(sim):
    answers = sim.get("/a"), sim.get("/b")
    sim.settle_now()
    assert [one.status for one in answers] == [200, 200] and counter["n"] == 2


@testing.simulate(app=counting, search="pct", depth=3, seeds=200)
def test_no_order_by_priorities_loses_an_update(sim):
    answers = sim.get("/a"), sim.get("/b"), sim.get("/c")
    sim.settle_now()
    assert [one.status for one in answers] == [200] * 3 and counter["n"] == 3


@testing.simulate(app=counting, seeds=100, twice=True)
def test_each_run_can_be_had_again(sim):
    sim.get("/a"), sim.get("/b")
    sim.settle()
    assert counter["n"] == 2


@testing.simulate(seeds=50, twice=True)
def test_executors_and_tasks_can_be_had_again(sim):
    async def all_of_them():
        sleeps = [asyncio.sleep(number % 3, number) for number in range(6)]
        return await asyncio.gather(*sleeps, asyncio.to_thread(lambda: 6))

    assert asyncio.run(all_of_them()) == list(range(7))
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda number: 2 * number, range(8))) == list(range(0, 16, 2))


@testing.simulate(app=app, seeds=1)
def test_what_has_happened_can_be_seen(sim):
    sim.get("/seen")
    while sim.step():
        pass
    assert "reads" in sim.trace and "GET /seen" in sim.diagram
    assert "<html" in sim.timeline_html and "traceEvents" in sim.perfetto_json
    assert [name for name, _ in sim.threads] == ["worker-1", "worker-2", "reactor"]
    assert sim.deadlock is None


@testing.simulate(seeds=3, setup=lambda: os.environ.update(ANSWER="42"))
def test_setup_comes_before_each_run(sim):
    assert os.environ.pop("ANSWER") == "42"


order = {"a": 1, "b": 2}


@testing.simulate(seeds=3)
def test_the_order_of_keys_is_put_back(sim):
    assert list(order) == ["a", "b"]
    order["a"] = order.pop("a")


@testing.simulate(seeds=3)
def test_what_is_started_is_an_ordinary_process(sim):
    names = {"LD_PRELOAD", "HANDWOUND_SIMULATES", "HANDWOUND_SYS_PATH"}
    assert not names & set(os.environ), names & set(os.environ)


@testing.simulate(seeds=3)
def test_a_thread_that_never_ends_does_not_hold_up_the_process(sim):
    def stay():
        while True:
            try:
                threading.Event().wait()
            except BaseException:
                pass

    threading.Thread(target=stay).start()


named = []


def naming(environ, start_response):
    named.append(threading.current_thread().name)
    time.sleep(1)
    start_response("200 OK", [])
    return []


@testing.simulate(app=naming, preempt="gates", seeds=30)
def test_workers_are_numbered_anew_in_each_run(sim):
    sim.get("/a"), sim.get("/b")
    sim.settle()
    assert named == ["Dummy-1", "Dummy-2"]


def refused(kind, text, **options):
    try:
        testing.simulate(**options)(lambda sim: None)
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError("%s was taken" % options)


@testing.simulate(seeds=1)
def test_options_that_mean_nothing_are_refused(sim):
    refused(ValueError, "a test without runs cannot fail", seeds=0)
    refused(ValueError, "a test without runs cannot fail", seeds=[])
    refused(ValueError, "a seed has to be", seeds=[-1])
    refused(TypeError, "not the string '17'", seeds="17")
    refused(ValueError, "depth has to be", depth=-1)
    refused(ValueError, "depth has to be at least 1", search="pct", depth=0)
    refused(ValueError, "watch names 'no_such.module'", watch=["json", "no_such.module"])
    refused(ValueError, "runs_max has to be", runs_max=0)
    refused(ValueError, "watchdog has to be", watchdog=0)
    refused(TypeError, "setup has to be", setup="nothing")
    refused(TypeError, "with parentheses", app=test_options_that_mean_nothing_are_refused)
    refused(TypeError, "app has to be", app="app")


@testing.simulate(seeds=1)
def test_what_is_installed_is_not_watched_and_all_else_is(sim):
    watched = _preempt.Watched((), ())
    assert watched.look(os.path.join(sys.prefix, "src", "app", "shop.py")) and watched.look(__file__)
    assert not watched.look(os.__file__)
    assert not watched.look("/somewhere/lib/site-packages/flask/app.py")
