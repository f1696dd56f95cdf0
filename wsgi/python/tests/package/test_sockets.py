"""What a reactor listens to."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import threading
from typing import Any, List

from handwound.internet import address, error
from handwound.internet.base import Reactor
from handwound.web.resource import Resource
from handwound.web.server import Site
from handwound.web.wsgi import WSGIResource

from . import DEADLINE, TestCase, run


def site(reactor: Reactor) -> Site:
    """Answers each request with its path."""

    def application(environ: Any, start_response: Any) -> List[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].encode("latin-1")]

    return Site(WSGIResource(reactor, reactor.getThreadPool(), application))


def ask(where: Any, path: str = "/") -> bytes:
    """The body of the answer."""
    family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(DEADLINE)
        connection.connect(where)
        connection.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
        answer = b""
        while True:
            received = connection.recv(65536)
            if not received:
                return answer.partition(b"\r\n\r\n")[2]
            answer += received


class Sockets(TestCase):
    def test_what_listens_before_the_run_answers_in_it(self) -> None:
        reactor = Reactor()
        port = reactor.listenTCP(0, site(reactor), interface="127.0.0.1")
        host = port.getHost()
        assert isinstance(host, address.IPv4Address)
        self.assertEqual((host.type, host.host), ("TCP", "127.0.0.1"))
        self.assertGreater(host.port, 0)
        self.assertEqual(repr(port), "<Port at IPv4Address(type='TCP', host='127.0.0.1', port=%d)>" % host.port)
        answers: List[bytes] = []

        def client() -> None:
            # It connects before the reactor runs, or while it does.
            answers.append(ask((host.host, host.port), "/asked"))
            reactor.callFromThread(reactor.stop)

        threading.Thread(target=client).start()
        reactor.run(installSignalHandlers=False)
        self.assertEqual(answers, [b"/asked"])

    def test_python_resources_are_served_too(self) -> None:
        class Threads(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                return b"%d" % threading.get_ident()

        answers: List[int] = []

        def setup(reactor: Reactor) -> None:
            host = reactor.listenTCP(0, Site(Threads()), interface="127.0.0.1").getHost()
            assert isinstance(host, address.IPv4Address)
            reactor.callInThread(client, reactor, (host.host, host.port))

        def client(reactor: Reactor, where: Any) -> None:
            answers.append(int(ask(where)))
            reactor.callFromThread(reactor.stop)

        run(setup)
        self.assertNotEqual(answers, [threading.get_ident()])

    def test_several_reactors_listen_in_one_process(self) -> None:
        reactors = [Reactor(), Reactor()]
        hosts = [reactor.listenTCP(0, site(reactor), interface="127.0.0.1").getHost() for reactor in reactors]
        threads = [threading.Thread(target=reactor.run) for reactor in reactors]
        for thread in threads:
            thread.start()
        answers = [ask(tuple(host)[1:], "/%d" % number) for number, host in enumerate(hosts)]
        for reactor, thread in zip(reactors, threads):
            reactor.callFromThread(reactor.stop)
            thread.join(DEADLINE)
            self.assertFalse(thread.is_alive())
        self.assertEqual(answers, [b"/0", b"/1"])

    def test_a_port_in_use_is_told_at_once(self) -> None:
        reactor, other = Reactor(), Reactor()
        host = reactor.listenTCP(0, site(reactor), interface="127.0.0.1").getHost()
        assert isinstance(host, address.IPv4Address)
        with self.assertRaises(error.CannotListenError) as raised:
            other.listenTCP(host.port, site(other), interface="127.0.0.1")
        failure = raised.exception
        self.assertEqual((failure.interface, failure.port, failure.errno), ("127.0.0.1", host.port, errno.EADDRINUSE))
        self.assertRegex(str(failure), r"^Couldn't listen on 127.0.0.1:%d: .*[Aa]ddress already in use.*\.$" % host.port)

    def test_a_port_that_is_closed_takes_no_connection(self) -> None:
        refused: List[bool] = []

        def setup(reactor: Reactor) -> None:
            port = reactor.listenTCP(0, site(reactor), interface="127.0.0.1")
            host = port.getHost()
            assert isinstance(host, address.IPv4Address)
            reactor.callInThread(close, reactor, port, (host.host, host.port))

        def close(reactor: Reactor, port: Any, where: Any) -> None:
            ask(where)
            port.stopListening()
            port.stopListening()
            try:
                ask(where)
            except ConnectionRefusedError:
                refused.append(True)
            reactor.callFromThread(reactor.stop)

        run(setup)
        self.assertEqual(refused, [True])

    def test_a_unix_socket(self) -> None:
        answers: List[Any] = []
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")

            def setup(reactor: Reactor) -> None:
                port = reactor.listenUNIX(path, site(reactor), mode=0o600)
                self.assertEqual(port.getHost(), address.UNIXAddress(path))
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
                reactor.callInThread(client, reactor)

            def client(reactor: Reactor) -> None:
                answers.append(ask(path, "/unix"))
                reactor.callFromThread(reactor.stop)

            run(setup)
            self.assertEqual(answers, [b"/unix"])
            with self.assertRaises(error.CannotListenError) as raised:
                Reactor().listenUNIX(os.path.join(folder, "no", "socket"), site(Reactor()))
            self.assertEqual(raised.exception.errno, errno.ENOENT)

    def test_what_cannot_be_served_is_refused_at_once(self) -> None:
        reactor = Reactor()
        for port in (-1, 65536):
            self.assertRaises(ValueError, reactor.listenTCP, port, site(reactor))
        self.assertRaises(TypeError, reactor.listenTCP, 0, None)
        self.assertRaises(error.CannotListenError, reactor.listenTCP, 0, site(reactor), interface="no such host")
