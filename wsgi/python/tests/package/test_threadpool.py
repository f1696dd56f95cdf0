"""Pools of threads."""

from __future__ import annotations

import threading
from typing import Any, List

from handwound.python.threadpool import AlreadyQuit, ThreadPool

from . import TestCase


class Pools(TestCase):
    def test_calls_wait_for_the_start_and_are_made_in_their_order(self) -> None:
        seen: List[int] = []
        pool = ThreadPool(1, 1)
        for number in range(10):
            pool.callInThread(seen.append, number)
        self.assertEqual((seen, pool.queued, pool.workers, pool.started, pool.joined), ([], 10, 0, False, False))
        pool.start()
        self.assertTrue(pool.started)
        pool.stop()
        self.assertEqual((seen, pool.queued, pool.workers, pool.started, pool.joined), (list(range(10)), 0, 0, False, True))

    def test_spec_30_counts_tell_who_works_and_what_waits(self) -> None:
        pool = ThreadPool(0, 2, "counted")
        pool.start()
        go, working = threading.Event(), threading.Semaphore(0)

        def work() -> None:
            working.release()
            self.wait(go)

        for _ in range(5):
            pool.callInThread(work)
        for _ in range(2):
            self.assertTrue(working.acquire(timeout=60))
        self.assertEqual((len(pool.working), len(pool.waiters), len(pool.threads), pool.queued), (2, 0, 2, 3))
        self.assertEqual(repr(pool), "<ThreadPool counted of 0 to 2 threads>")
        pool.dumpStats()
        go.set()
        pool.stop()
        self.assertEqual((pool.working, pool.waiters, pool.threads, pool.queued), ([], [], [], 0))

    def test_spec_30_a_call_after_the_stop_is_refused(self) -> None:
        pool = ThreadPool()
        pool.start()
        pool.stop()
        self.assertRaises(AlreadyQuit, pool.callInThread, print)

    def test_spec_31_a_result_comes_on_the_same_thread(self) -> None:
        results: List[Any] = []
        pool = ThreadPool(1, 4)
        pool.start()

        def on_result(success: bool, result: Any) -> None:
            results.append((success, result, threading.get_ident()))

        def value(number: int, more: int) -> Any:
            return number + more, threading.get_ident()

        pool.callInThreadWithCallback(on_result, value, 1, more=2)
        pool.stop()
        [(success, (number, made_on), told_on)] = results
        self.assertEqual((success, number, made_on), (True, 3, told_on))

    def test_spec_31_a_failure_comes_as_one(self) -> None:
        results: List[Any] = []
        pool = ThreadPool(1, 4)
        pool.callInThreadWithCallback(lambda *outcome: results.append(outcome), lambda: 1 / 0)
        pool.start()
        pool.stop()
        [(success, failure)] = results
        self.assertFalse(success)
        self.assertIs(failure.check(ArithmeticError), ArithmeticError)
        self.assertIn("in <lambda>", failure.getTraceback())

    def test_a_call_that_raises_costs_no_thread(self) -> None:
        seen: List[str] = []
        pool = ThreadPool(1, 1)

        def broken(success: bool, result: Any) -> None:
            raise KeyError(result)

        pool.callInThread(lambda: 1 / 0)
        pool.callInThreadWithCallback(broken, len, "")
        pool.callInThread(exit)
        pool.callInThread(seen.append, "next")
        pool.start()
        pool.stop()
        self.assertEqual(seen, ["next"])

    def test_the_size_can_be_changed(self) -> None:
        pool = ThreadPool(1, 2)
        pool.start()
        pool.adjustPoolsize(3, 7)
        self.assertEqual((pool.min, pool.max, pool.workers), (3, 7, 3))
        pool.adjustPoolsize(maxthreads=5)
        pool.adjustPoolsize(minthreads=0)
        self.assertEqual((pool.min, pool.max), (0, 5))
        for wrong in ((6, None), (-1, None), (None, 0)):
            self.assertRaises((ValueError, OverflowError), pool.adjustPoolsize, *wrong)
        self.assertEqual((pool.min, pool.max), (0, 5))
        self.assertRaises(ValueError, ThreadPool, 0, 0)
        self.assertRaises(ValueError, ThreadPool, 3, 2)
        pool.stop()

    def test_a_thread_of_the_pool_cannot_wait_for_its_end(self) -> None:
        results: List[Any] = []
        done = threading.Event()
        pool, other = ThreadPool(1, 1), ThreadPool(1, 1)
        pool.start()
        other.start()

        def stop() -> None:
            other.stop()
            try:
                pool.stop()
            except RuntimeError as error:
                results.append(str(error))
            done.set()

        pool.callInThread(stop)
        self.wait(done)
        self.assertEqual(results, ["a thread of the pool cannot wait for the pool's end"])
        pool.stop()

    def test_what_cannot_be_called_is_refused_at_once(self) -> None:
        self.assertRaises(TypeError, ThreadPool().callInThread, None)
