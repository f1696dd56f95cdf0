"""The reactor: time, calls, threads, start and end."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import unittest
import weakref
from typing import Any, List

from handwound.internet import error, reactor as default
from handwound.internet.base import Reactor

from . import DEADLINE, EMBEDDED, TestCase, run


class Calls(TestCase):
    def test_calls_come_in_order_of_their_time(self) -> None:
        order: List[Any] = []

        def setup(reactor: Reactor) -> None:
            reactor.callLater(0.02, order.append, "later")
            reactor.callLater(0.01, order.append, "soon")
            reactor.callLater(0, order.append, "now")
            reactor.callFromThread(order.append, "posted")
            reactor.callLater(0.03, reactor.stop)

        run(setup)
        self.assertEqual(order, ["posted", "now", "soon", "later"])

    def test_arguments_are_passed_on(self) -> None:
        seen: List[Any] = []

        def note(*args: Any, **kw: Any) -> None:
            seen.append((args, kw))

        def setup(reactor: Reactor) -> None:
            reactor.callLater(0, note, 1, two=2)
            reactor.callFromThread(note, 3, four=4)
            reactor.callInThread(note, 5, six=6)
            reactor.callInThread(reactor.callFromThread, reactor.stop)

        run(setup)
        self.assertEqual(sorted(seen), [((1,), {"two": 2}), ((3,), {"four": 4}), ((5,), {"six": 6})])

    def test_a_call_that_raises_does_not_keep_the_next_from_being_made(self) -> None:
        order: List[str] = []

        def setup(reactor: Reactor) -> None:
            reactor.callFromThread(lambda: 1 / 0)
            reactor.callLater(0, lambda: [][1])
            reactor.callInThread(lambda: {}["x"])
            reactor.callFromThread(order.append, "posted")
            reactor.callLater(0, order.append, "timed")
            reactor.callLater(0, reactor.stop)

        run(setup)
        self.assertEqual(order, ["posted", "timed"])

    def test_all_calls_are_made_on_the_thread_that_runs_the_reactor(self) -> None:
        threads = set()

        def setup(reactor: Reactor) -> None:
            def note() -> None:
                threads.add(threading.get_ident())

            note()
            reactor.callLater(0, note)
            for _ in range(4):
                reactor.callInThread(reactor.callFromThread, note)
            reactor.addSystemEventTrigger("before", "shutdown", note)
            reactor.addSystemEventTrigger("after", "shutdown", note)
            reactor.callLater(0.01, reactor.stop)

        run(setup)
        self.assertEqual(threads, {threading.get_ident()})

    def test_calls_of_many_threads_keep_the_order_of_each(self) -> None:
        seen: List[Any] = []

        def setup(reactor: Reactor) -> None:
            def sender(name: int) -> None:
                for number in range(200):
                    reactor.callFromThread(seen.append, (name, number))
                reactor.callFromThread(done.append, name)
                reactor.callFromThread(lambda: len(done) == 4 and reactor.stop())

            done: List[int] = []
            for name in range(4):
                threading.Thread(target=sender, args=(name,)).start()

        run(setup)
        for name in range(4):
            self.assertEqual([number for sender, number in seen if sender == name], list(range(200)))

    def test_a_delayed_call_tells_its_state(self) -> None:
        reactor = Reactor()
        call = reactor.callLater(5, print, 1, end="")
        self.assertEqual((call.func, call.args, call.kw), (print, (1,), {"end": ""}))
        self.assertTrue(call.active() and not call.called and not call.cancelled)
        self.assertAlmostEqual(call.getTime(), time.time() + 5, delta=DEADLINE)
        before = call.getTime()
        call.delay(2)
        self.assertAlmostEqual(call.getTime(), before + 2)
        call.delay(-1)
        self.assertAlmostEqual(call.getTime(), before + 1)
        call.reset(100)
        self.assertGreater(call.getTime(), before + 90)
        earlier = reactor.callLater(1, print)
        self.assertEqual(reactor.getDelayedCalls(), [earlier, call])
        self.assertRegex(repr(call), r"^<DelayedCall of print at [0-9.]+, active>$")
        call.cancel()
        self.assertTrue(call.cancelled and not call.active() and not call.called)
        self.assertEqual(reactor.getDelayedCalls(), [earlier])
        for change in (call.cancel, lambda: call.reset(1), lambda: call.delay(1)):
            self.assertRaises(error.AlreadyCancelled, change)

    def test_a_call_that_was_made_cannot_be_changed(self) -> None:
        calls: List[Any] = []

        def setup(reactor: Reactor) -> None:
            def look() -> None:
                self.assertTrue(calls[0].called)
                calls.append("looked")
                reactor.stop()

            calls.append(reactor.callLater(0, look))

        run(setup)
        self.assertEqual(calls[1:], ["looked"])
        for change in (calls[0].cancel, lambda: calls[0].reset(1), lambda: calls[0].delay(1)):
            self.assertRaises(error.AlreadyCalled, change)

    def test_a_cancelled_call_is_not_made(self) -> None:
        order: List[str] = []

        def setup(reactor: Reactor) -> None:
            first = reactor.callLater(0.01, lambda: second.cancel())
            second = reactor.callLater(0.01, order.append, "never")
            reactor.callLater(0.02, reactor.stop)
            self.assertTrue(first.active())

        run(setup)
        self.assertEqual(order, [])

    def test_wrong_arguments_are_refused_at_once(self) -> None:
        reactor = Reactor()
        for delay in (-1, float("nan")):
            self.assertRaises(ValueError, reactor.callLater, delay, print)
        self.assertRaises(TypeError, reactor.callLater, 1, None)
        self.assertRaises(TypeError, reactor.callFromThread, "print")
        self.assertRaises(TypeError, reactor.callInThread, None)
        self.assertRaises(TypeError, reactor.callWhenRunning, 1)
        self.assertRaises(TypeError, reactor.addSystemEventTrigger, "before", "shutdown", None)
        self.assertRaises(KeyError, reactor.addSystemEventTrigger, "behind", "shutdown", print)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_seconds_are_those_of_the_clock_on_the_wall(self) -> None:
        reactor = Reactor()
        first, wall, second = reactor.seconds(), time.time(), reactor.seconds()
        self.assertGreaterEqual(second, first)
        self.assertAlmostEqual(first, wall, delta=DEADLINE)


class StartAndEnd(TestCase):
    def test_triggers_come_in_their_phases(self) -> None:
        order: List[str] = []
        reactor = Reactor()
        for event in ("shutdown", "startup"):
            for phase in ("after", "during", "before"):
                reactor.addSystemEventTrigger(phase, event, order.append, phase + " " + event)
        reactor.callWhenRunning(order.append, "running")
        reactor.callFromThread(order.append, "posted before")
        reactor.callFromThread(reactor.stop)
        reactor.run(installSignalHandlers=False)
        self.assertEqual(
            order,
            ["before startup", "during startup", "after startup", "running", "posted before"]
            + ["before shutdown", "during shutdown", "after shutdown"],
        )

    def test_it_runs_from_the_start_to_the_end_and_once(self) -> None:
        reactor = Reactor()
        states: List[bool] = [reactor.running]
        self.assertRaises(error.ReactorNotRunning, reactor.stop)
        reactor.addSystemEventTrigger("before", "startup", lambda: states.append(reactor.running))
        reactor.addSystemEventTrigger("after", "shutdown", lambda: states.append(reactor.running))

        def running() -> None:
            states.append(reactor.running)
            self.assertRaises(error.ReactorAlreadyRunning, reactor.run)
            reactor.callWhenRunning(states.append, True)
            reactor.stop()
            self.assertRaises(error.ReactorNotRunning, reactor.stop)
            states.append(reactor.running)

        reactor.callWhenRunning(running)
        reactor.run(installSignalHandlers=False)
        states.append(reactor.running)
        self.assertEqual(states, [False, False, True, True, True, True, False])
        self.assertRaises(error.ReactorNotRestartable, reactor.run)
        self.assertRaises(error.ReactorNotRunning, reactor.stop)

    def test_what_is_asked_for_after_the_end_is_forgotten(self) -> None:
        reactor = run(lambda reactor: reactor.stop())
        reactor.callFromThread(print, "never")
        call = reactor.callLater(0, print, "never")
        self.assertFalse(call.active())

    def test_a_trigger_can_be_taken_back(self) -> None:
        order: List[str] = []
        reactor = Reactor()
        handles = [reactor.addSystemEventTrigger("before", "shutdown", order.append, name) for name in "abc"]
        reactor.removeSystemEventTrigger(handles[1])
        self.assertRaises(ValueError, reactor.removeSystemEventTrigger, handles[1])
        handle = reactor.callWhenRunning(order.append, "never")
        assert handle is not None
        reactor.removeSystemEventTrigger(handle)
        reactor.callFromThread(reactor.stop)
        reactor.run(installSignalHandlers=False)
        self.assertEqual(order, ["a", "c"])

    def test_a_trigger_that_raises_stops_nothing(self) -> None:
        order: List[str] = []

        def setup(reactor: Reactor) -> None:
            reactor.addSystemEventTrigger("before", "shutdown", lambda: 1 / 0)
            reactor.addSystemEventTrigger("before", "shutdown", order.append, "next")
            reactor.stop()

        run(setup)
        self.assertEqual(order, ["next"])

    def test_a_shutdown_waits_for_what_triggers_have_promised(self) -> None:
        class Promise:
            def addBoth(self, callback: Any) -> None:
                self.callback = callback

        promises, order = [Promise(), Promise()], []

        def keep(number: int) -> None:
            order.append("kept")
            self.assertEqual(promises[number].callback("result"), "result")

        def setup(reactor: Reactor) -> None:
            for promise in promises:
                reactor.addSystemEventTrigger("before", "shutdown", lambda promise=promise: promise)
            reactor.addSystemEventTrigger("during", "shutdown", order.append, "during")
            reactor.callLater(0.01, keep, 1)
            reactor.callLater(0.02, keep, 0)
            reactor.stop()

        run(setup)
        self.assertEqual(order, ["kept", "kept", "during"])

    def test_events_of_ones_own(self) -> None:
        order: List[str] = []
        reactor = Reactor()
        reactor.addSystemEventTrigger("after", "tea", order.append, "wash up")
        reactor.addSystemEventTrigger("during", "tea", order.append, "drink")
        reactor.fireSystemEvent("tea")
        reactor.fireSystemEvent("coffee")
        self.assertEqual(order, ["drink", "wash up"])

    def test_a_crash_ends_at_once(self) -> None:
        def setup(reactor: Reactor) -> None:
            reactor.addSystemEventTrigger("before", "shutdown", self.fail)
            reactor.crash()

        self.assertFalse(run(setup).running)

    def test_what_is_no_exception_ends_the_run(self) -> None:
        order: List[str] = []

        def leave() -> None:
            sys.exit("bye")

        def setup(reactor: Reactor) -> None:
            reactor.addSystemEventTrigger("after", "shutdown", order.append, "in order")
            reactor.callLater(0, leave)

        with self.assertRaises(SystemExit) as raised:
            run(setup)
        self.assertEqual((raised.exception.code, order), ("bye", ["in order"]))

    def test_several_reactors_run_side_by_side(self) -> None:
        first_runs, second_runs = threading.Event(), threading.Event()
        seen: List[str] = []

        def first(reactor: Reactor) -> None:
            first_runs.set()
            reactor.callInThread(lambda: (self.wait(second_runs), reactor.callFromThread(reactor.stop)))
            reactor.addSystemEventTrigger("after", "shutdown", seen.append, "first")

        def second(reactor: Reactor) -> None:
            second_runs.set()
            reactor.callInThread(lambda: (self.wait(first_runs), reactor.callFromThread(reactor.stop)))
            reactor.addSystemEventTrigger("after", "shutdown", seen.append, "second")

        other = threading.Thread(target=run, args=(second,))
        other.start()
        run(first)
        other.join(DEADLINE)
        self.assertEqual(sorted(seen), ["first", "second"])

    def test_the_default_reactor_is_one_of_them(self) -> None:
        self.assertIsInstance(default, Reactor)
        import handwound.internet.reactor

        self.assertIs(handwound.internet.reactor, default)
        self.assertIs(sys.modules["handwound.internet.reactor"], default)


    def test_a_reactor_that_nobody_has_any_more_is_forgotten_with_its_calls(self) -> None:
        reactor = Reactor()
        reactor.callLater(1000, lambda: reactor.stop())
        reactor.callFromThread(reactor.stop)
        reactor.getThreadPool()
        forgotten = weakref.ref(reactor)
        del reactor
        gc.collect()
        self.assertIsNone(forgotten())


class Threads(TestCase):
    def test_the_pool_runs_with_the_reactor(self) -> None:
        seen: List[Any] = []
        reactor = Reactor()
        pool = reactor.getThreadPool()
        self.assertIs(reactor.getThreadPool(), pool)
        self.assertIs(reactor.threadpool, pool)
        self.assertEqual((pool.min, pool.max), (0, 10))
        reactor.suggestThreadPoolSize(3)
        self.assertEqual((pool.min, pool.max), (0, 3))
        reactor.callInThread(seen.append, "asked for early")
        self.assertEqual((seen, pool.queued), ([], 1))
        reactor.callInThread(reactor.callFromThread, reactor.stop)
        reactor.run(installSignalHandlers=False)
        self.assertEqual(seen, ["asked for early"])
        self.assertEqual((pool.threads, pool.queued), ([], 0))


@unittest.skipIf(EMBEDDED, "SKIPPED: signals want an interpreter of their own; the tests of the wheel have one")
class Signals(TestCase):
    def check(self, code: str, said: str, status: int) -> None:
        ended = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE, text=True
        )
        self.assertEqual((ended.stdout.splitlines(), ended.returncode), (said.splitlines(), status), ended.stdout)

    def test_ctrl_c_and_a_terminate_stop_in_order(self) -> None:
        for name in ("SIGINT", "SIGTERM"):
            self.check(
                "import os, signal\n"
                "from handwound.internet import reactor\n"
                "reactor.callLater(0, os.kill, os.getpid(), signal.%s)\n"
                "reactor.addSystemEventTrigger('before', 'shutdown', print, 'before')\n"
                "reactor.addSystemEventTrigger('after', 'shutdown', print, 'after')\n"
                "reactor.run()\n"
                "print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, reactor.running)\n" % name,
                "before\nafter\nTrue False",
                0,
            )

    def test_a_signal_is_heard_while_nothing_is_to_be_called(self) -> None:
        self.check(
            "import os, signal, threading\n"
            "from handwound.internet import reactor\n"
            "def kill():\n"
            "    while not reactor.running: pass\n"
            "    os.kill(os.getpid(), signal.SIGINT)\n"
            "threading.Thread(target=kill).start()\n"
            "reactor.run()\n"
            "print('ended')\n",
            "ended",
            0,
        )

    def test_a_second_one_has_no_patience(self) -> None:
        self.check(
            "import os, signal\n"
            "from handwound.internet import reactor\n"
            "class Never:\n"
            "    def addBoth(self, callback): reactor.callLater(0, os.kill, os.getpid(), signal.SIGINT)\n"
            "reactor.addSystemEventTrigger('before', 'shutdown', Never)\n"
            "reactor.callLater(0, os.kill, os.getpid(), signal.SIGINT)\n"
            "reactor.run()\n"
            "print('ended')\n",
            "ended",
            0,
        )

    def test_without_handlers_the_interrupt_is_raised_in_the_end(self) -> None:
        self.check(
            "import os, signal\n"
            "from handwound.internet import reactor\n"
            "reactor.callLater(0, os.kill, os.getpid(), signal.SIGINT)\n"
            "reactor.addSystemEventTrigger('after', 'shutdown', print, 'after')\n"
            "try:\n"
            "    reactor.run(installSignalHandlers=False)\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted')\n",
            "after\ninterrupted",
            0,
        )

    def test_a_program_ends_though_its_pool_was_not_stopped(self) -> None:
        self.check(
            "from handwound.python.threadpool import ThreadPool\n"
            "pool = ThreadPool(3, 3)\n"
            "pool.start()\n"
            "pool.callInThread(print, 'called')\n",
            "called",
            0,
        )

    def test_what_a_call_raises_is_told(self) -> None:
        ended = subprocess.run(
            [sys.executable, "-c", "from handwound.internet import reactor\nreactor.callLater(0, lambda: 1 / 0)\n"
             "reactor.callLater(0, reactor.stop)\nreactor.run()"],
            stderr=subprocess.PIPE, timeout=DEADLINE, text=True,
        )
        self.assertIn("ZeroDivisionError: division by zero", ended.stderr)
        self.assertEqual(ended.returncode, 0)
