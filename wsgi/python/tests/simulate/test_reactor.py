"""What Twisted's users did with MemoryReactorClock: the reactor's calls, its pool, and a resource tree, on a clock that the
test winds."""

import http.client
import threading

from handwound import testing
from handwound.internet import reactor
from handwound.web.resource import Resource
from handwound.web.server import NOT_DONE_YET, Site

called = []


class Later(Resource):
    isLeaf = True

    def render_GET(self, request):
        reactor.callLater(60, self.finish, request)
        return NOT_DONE_YET

    def finish(self, request):
        request.write(b"a minute later")
        request.finish()


def tree():
    root = Resource()
    root.putChild(b"later", Later())
    return root


@testing.simulate(seeds=20)
def test_calls_are_made_when_the_clock_is_wound(sim):
    sim.reactor.callLater(3600, called.append, "an hour later")
    sim.advance(3599)
    assert called == []
    sim.advance(2)
    assert called == ["an hour later"]


@testing.simulate(seeds=20)
def test_programs_have_the_tests_own_reactor(sim):
    assert sim.reactor is reactor
    call = reactor.callLater(10, called.append, "never")
    sim.advance(9)
    call.cancel()
    sim.advance(2)
    assert called == [] and not reactor.getDelayedCalls()


@testing.simulate(seeds=20)
def test_the_pool_is_one_of_the_simulation(sim):
    assert sim.reactor.running
    reactor.callInThread(called.append, "in a thread")
    sim.settle_now()
    assert called == ["in a thread"]


@testing.simulate(seeds=20)
def test_a_tree_answers_when_its_time_has_come(sim):
    port = sim.reactor.listenTCP(0, Site(tree()), interface="127.0.0.1").getHost().port
    answers = []

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/later")
        answers.append(connection.getresponse().read())
        connection.close()

    client = threading.Thread(target=ask)
    client.start()
    sim.advance(59)
    assert answers == []
    sim.advance(2)
    assert answers == [b"a minute later"]
    client.join()
