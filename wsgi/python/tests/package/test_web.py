"""Sites: what the compiled part makes of them, over real sockets."""

from __future__ import annotations

import http.client
import os
import socket
import tempfile
import threading
from typing import Any, Callable, List, Tuple

from handwound.internet.base import Reactor
from handwound.python.threadpool import ThreadPool
from handwound.web.resource import Resource
from handwound.web.server import NOT_DONE_YET, Request, Site
from handwound.web.static import Data, File
from handwound.web.wsgi import WSGIResource

from . import DEADLINE, TestCase, run

Answer = Tuple[int, bytes]


class Leaf(Resource):
    isLeaf = True

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        super().__init__()
        self.render_GET = answer


def ask(site: Site, *targets: str) -> List[Answer]:
    """Serves a site and asks it for these, one after the other."""
    answers: List[Answer] = []

    def client(reactor: Reactor, port: int) -> None:
        try:
            for target in targets:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
                connection.request("GET", target)
                response = connection.getresponse()
                answers.append((response.status, response.read()))
                connection.close()
        finally:
            reactor.callFromThread(reactor.stop)

    def setup(reactor: Reactor) -> None:
        port = reactor.listenTCP(0, site, interface="127.0.0.1").getHost().port
        threading.Thread(target=client, args=(reactor, port)).start()

    run(setup)
    return answers


class Sites(TestCase):
    def test_a_tree_is_served(self) -> None:
        root = Resource()
        root.putChild(b"", Leaf(lambda request: b"root"))
        root.putChild(b"show", Leaf(lambda request: repr(request.postpath).encode()))
        answers = ask(Site(root), "/", "/show/a%2Fb/", "/none")
        self.assertEqual(answers[:2], [(200, b"root"), (200, b"[b'a/b', b'']")])
        self.assertEqual(answers[2][0], 404)

    def test_an_application_is_served_as_a_root_and_within_a_tree(self) -> None:
        def application(environ: Any, start_response: Any) -> List[bytes]:
            start_response("200 OK", [])
            return [repr((environ["SCRIPT_NAME"], environ["PATH_INFO"])).encode()]

        pool = ThreadPool(1, 1)
        pool.start()
        self.addCleanup(pool.stop)
        for used in (None, pool):
            resource = WSGIResource(None, used, application)
            self.assertEqual(ask(Site(resource), "/a/b"), [(200, b"('', '/a/b')")])
            root = Resource()
            root.putChild(b"a", resource)
            self.assertEqual(ask(Site(root), "/a/b"), [(200, b"('/a', '/b')")])

    def test_calls_of_a_site_are_made_by_the_reactor_that_serves_it(self) -> None:
        threads = []

        def finish(request: Request) -> None:
            threads.append(threading.current_thread())
            request.write(b"later")
            request.finish()

        def later(request: Request) -> int:
            request.site.reactor.callLater(0, finish, request)
            return NOT_DONE_YET

        # No other reactor runs.
        self.assertEqual(ask(Site(Leaf(later)), "/"), [(200, b"later")])
        self.assertEqual(threads, [threading.current_thread()])

    def test_files_are_served_and_requests_logged(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "a.txt"), "wb") as file:
                file.write(b"text" * 100_000)
            log = os.path.join(folder, "log")
            root = File(folder)
            root.putChild(b"data", Data(b"data", "text/plain"))
            answers = ask(Site(root, logPath=log), "/a.txt", "/data", "/")
            self.assertEqual(answers[:2], [(200, b"text" * 100_000), (200, b"data")])
            self.assertIn(b"a.txt", answers[2][1])
            with open(log) as lines:
                self.assertIn('"GET /a.txt HTTP/1.1" 200 400000', lines.readline())

    def test_what_is_no_site_is_refused(self) -> None:
        reactor = Reactor()
        with self.assertRaisesRegex(TypeError, r"served as a site: Site\("):
            reactor.listenTCP(0, Resource())
        with self.assertRaisesRegex(TypeError, "what is served is a handwound.web.server.Site, not 7"):
            reactor.listenTCP(0, 7)

    def test_a_client_that_leaves_is_noticed_though_nobody_asked(self) -> None:
        kept: List[Request] = []

        def setup(reactor: Reactor) -> None:
            def look(client: socket.socket) -> None:
                if kept:
                    client.close()
                if kept and kept[0].channel.is_disconnected():
                    reactor.stop()
                else:
                    reactor.callLater(0.01, look, client)

            root = Leaf(lambda request: kept.append(request) or NOT_DONE_YET)
            port = reactor.listenTCP(0, Site(root), interface="127.0.0.1").getHost().port
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            look(client)

        run(setup)
