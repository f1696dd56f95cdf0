"""Reports of tests that fail."""

import time

from handwound import testing

from expecting import reports

counter = {"n": 0}


def save(number):
    counter["n"] = number


def app(environ, start_response):
    save(counter["n"] + 1)
    start_response("200 OK", [])
    return [b"saved"]


def raising(environ, start_response):
    print("printed by the application")
    raise ValueError("raised by the application")


@reports("AssertionError: assert counter", "left at failing_world.py", "goes on at", "--replay=", "@v1:", ".html")
@testing.simulate(app=app, seeds=500)
def test_a_lost_update_is_found_by_chance(sim):
    answers = sim.get("/a"), sim.get("/b")
    sim.settle()
    assert [one.status for one in answers] == [200, 200]
    assert counter["n"] == 2


@reports("AssertionError: assert counter", "left at failing_world.py", "of an exhaustive search")
@testing.simulate(app=app, search="bounded", depth=1)
def test_a_lost_update_is_found_by_search(sim):
    sim.get("/a"), sim.get("/b")
    sim.settle_now()
    assert counter["n"] == 2


@reports("AssertionError: assert", "== 200", "printed by the application", "raised by the application", "in raising")
@testing.simulate(app=raising, seeds=3)
def test_what_the_application_wrote_is_told(sim):
    answer = sim.get("/")
    sim.settle()
    assert answer.status == 200


@reports("no response to GET /slow yet; nothing has come", "sim.settle()")
@testing.simulate(app=app, seeds=1)
def test_a_response_that_has_not_come(sim):
    sim.get("/slow").status


@reports("ValueError: raised by the test", "in test_an_exception")
@testing.simulate(seeds=1)
def test_an_exception(sim):
    time.sleep(1)
    raise ValueError("raised by the test")


@reports("nothing is served: `simulate` was given no application")
@testing.simulate(seeds=1)
def test_a_request_without_an_application(sim):
    sim.get("/")


@reports("ValueError: a long message", "in test_a_report_of_any_length")
@testing.simulate(seeds=1)
def test_a_report_of_any_length(sim):
    raise ValueError("a long message" + "." * 200_000)


@reports("FAILED in run 1, seed 0: SystemExit: 3", "in test_a_test_that_exits")
@testing.simulate(seeds=1)
def test_a_test_that_exits(sim):
    raise SystemExit(3)
