"""From threads to the reactor and back."""

from __future__ import annotations

import threading
from typing import Any, List

from handwound import _native
from handwound.internet import error, threads
from handwound.internet._command import CommandReactor
from handwound.internet.base import Reactor
from handwound.internet.defer import Deferred
from handwound.python.threadpool import ThreadPool

from . import TestCase, run


class Threads(TestCase):
    def test_what_a_thread_returns_or_raises_comes_in_a_call(self) -> None:
        seen: List[Any] = []

        def setup(reactor: Reactor) -> None:
            here = threading.get_ident()

            def done(result: Any, name: str) -> None:
                seen.append((name, result, threading.get_ident() == here))
                if len(seen) == 2:
                    reactor.stop()

            pool = reactor.getThreadPool()
            threads.deferToThreadPool(reactor, pool, divmod, 7, 2).addCallback(done, "result")
            broken = threads.deferToThreadPool(reactor, pool, divmod, 7, 0)
            broken.addErrback(lambda failure: failure.check(ZeroDivisionError)).addCallback(done, "failure")

        run(setup)
        self.assertEqual(sorted(seen), [("failure", ZeroDivisionError, True), ("result", (3, 1), True)])

    def test_a_thread_waits_for_a_call(self) -> None:
        seen: List[Any] = []

        def setup(reactor: Reactor) -> None:
            def later() -> Deferred:
                deferred = Deferred()
                reactor.callLater(0, deferred.callback, "later")
                return deferred

            def work() -> None:
                for function in (threading.get_ident, later):
                    seen.append(threads.blockingCallFromThread(reactor, function))
                try:
                    threads.blockingCallFromThread(reactor, divmod, 1, 0)
                except ZeroDivisionError:
                    seen.append("raised")
                reactor.callFromThread(reactor.stop)

            reactor.callInThread(work)

        run(setup)
        self.assertEqual(seen, [threading.get_ident(), "later", "raised"])

    def test_who_waits_for_a_call_of_a_reactor_that_stops_is_told(self) -> None:
        seen: List[str] = []
        ended = threading.Event()

        def setup(reactor: Reactor) -> None:
            def work() -> None:
                try:
                    threads.blockingCallFromThread(reactor, never)
                except error.ReactorNotRunning as why:
                    seen.append(str(why))
                ended.set()

            def never() -> Deferred:
                reactor.stop()
                return Deferred()

            threading.Thread(target=work).start()

        reactor = run(setup)
        self.wait(ended)
        self.assertRaises(error.ReactorNotRunning, threads.blockingCallFromThread, reactor, len, "")
        self.assertEqual(seen, ["the reactor has stopped, and there is no result"])

    def test_a_call_cannot_wait_for_another(self) -> None:
        def setup(reactor: Reactor) -> None:
            self.assertRaises(RuntimeError, threads.blockingCallFromThread, reactor, len, "")
            reactor.stop()

        run(setup)


class TheCommandsThread(TestCase):
    def test_it_is_waited_for_whoever_asks_for_it_first(self) -> None:
        asked = threading.Event()
        is_daemon: List[bool] = []

        class Asked(CommandReactor):
            def _thread_main(self) -> None:
                is_daemon.append(threading.current_thread().daemon)
                asked.set()

        # Python takes workers for daemons, and what a daemon starts for another one.
        pool = ThreadPool(1, 1)
        pool.start()
        pool.callInThread(Asked(_native.EventLoop()).callFromThread, print)
        self.wait(asked)
        pool.stop()
        self.assertEqual(is_daemon, [False])
