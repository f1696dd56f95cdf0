"""Tests that fail, as they should: each with what its report has to say. `run.py` looks at that."""

import ctypes
import re
import select
import socket
import threading
import time

from handwound import testing

from expecting import reports


@reports("deadlock at", "thread-1 is parked at gate `a lock`", "thread-2 has it", "Thread-2", "(take)  with second:", "one.join()")
@testing.simulate(seeds=50)
def test_two_locks_in_two_orders(sim):
    a, b = threading.Lock(), threading.Lock()

    def take(first, second):
        with first:
            time.sleep(1)
            with second:
                pass

    one, other = threading.Thread(target=take, args=(a, b)), threading.Thread(target=take, args=(b, a))
    one.start()
    other.start()
    one.join()
    other.join()


@reports("the test waits for what will never come", "threading.Event().wait()")
@testing.simulate(seeds=2)
def test_what_never_comes(sim):
    threading.Event().wait()


@reports("the test waits for what will never come", "one.recv(1)")
@testing.simulate(seeds=2)
def test_bytes_that_never_come(sim):
    one, other = socket.socketpair()
    one.recv(1)


@reports("the test waits for what will never come", "select.select([one], [], [])")
@testing.simulate(seeds=2)
def test_a_selection_that_never_comes(sim):
    one, other = socket.socketpair()
    select.select([one], [], [])


@reports("the test waits for what will never come", "(test_an_own_lock_taken_twice)")
@testing.simulate(seeds=2)
def test_an_own_lock_taken_twice(sim):
    lock = threading.Lock()
    with lock, lock:
        pass


@reports("Timeout (0:00:02)", "failing_blocking.py", "in spin", "in test_a_loop_without_end")
@testing.simulate(seeds=2, watchdog=2, preempt="gates")
def test_a_loop_without_end(sim):
    def spin():
        while True:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()


@reports("Timeout (0:00:02)", "failing_blocking.py", "in spin")
@testing.simulate(seeds=2, watchdog=2)
def test_a_loop_without_end_that_others_interrupt(sim):
    def spin():
        while True:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()


@reports("Timeout (0:00:02)", "in test_a_pattern_that_takes_for_ever")
@testing.simulate(seeds=2, watchdog=2)
def test_a_pattern_that_takes_for_ever(sim):
    re.match("(a+)+$", "a" * 60 + "b")


@reports("Timeout (0:00:02)", "in test_a_wait_that_nobody_knows")
@testing.simulate(seeds=2, watchdog=2)
def test_a_wait_that_nobody_knows(sim):
    ctypes.CDLL(None).pause()


@reports("Timeout (0:00:02)", "in wait", "in test_a_wait_with_the_interpreter")
@testing.simulate(seeds=2, watchdog=2)
def test_a_wait_with_the_interpreter(sim):
    def wait():
        ctypes.PyDLL(None).pause()

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
