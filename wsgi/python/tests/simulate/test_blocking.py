"""The calls in which a Python program waits, tells the time or draws chance, each as a program makes it.

Times are hours, so that what would wait for real does not get through.
"""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import datetime
import errno
import fcntl
import importlib
import io
import logging
import multiprocessing
import os
import queue
import random
import secrets
import select
import selectors
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from time import sleep

from handwound import testing

HOUR = 3600.0
simulated = testing.simulate(seeds=10)


class Kept:
    """What outlives a run: plain data at the top of a module would be put back."""

    drawn = set()
    left = {}


def together(*bodies):
    """Calls each on a thread of its own, waits for all of them, and raises what one has raised."""
    raised = []

    def guarded(body):
        try:
            body()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


@contextlib.contextmanager
def raises(kind, *texts):
    """What is inside raises this, with all these texts in its message."""
    try:
        yield
    except kind as error:
        missing = [text for text in texts if text not in str(error)]
        assert not missing, "%r does not say %s" % (error, missing)
    else:
        raise AssertionError("%s was not raised" % kind.__name__)


def is_at(sim, seconds):
    assert abs(sim.now - seconds) < 0.01, "it is %s, not %s" % (sim.now, seconds)


# Sleep and the clock.


@simulated
def test_sleep_lets_others_go_on_and_takes_no_time(sim):
    woken = []

    def sleeper(name, hours):
        time.sleep(hours * HOUR)
        woken.append((name, round(sim.now / HOUR, 3)))

    together(lambda: sleeper("long", 3), lambda: sleeper("short", 1), lambda: sleeper("middle", 2))
    assert woken == [("short", 1), ("middle", 2), ("long", 3)]
    is_at(sim, 3 * HOUR)


@simulated
def test_a_sleep_that_was_imported_early_is_the_same(sim):
    sleep(HOUR)
    is_at(sim, HOUR)
    together(lambda: sleep(HOUR), lambda: sleep(HOUR))
    is_at(sim, 2 * HOUR)


@simulated
def test_all_clocks_are_the_simulations(sim):
    clocks = [time.time, time.monotonic, time.perf_counter, lambda: datetime.datetime.now().timestamp()]
    clocks += [lambda: time.time_ns() / 1e9, lambda: time.clock_gettime(time.CLOCK_MONOTONIC)]
    before = [clock() for clock in clocks]
    assert before == [clock() for clock in clocks]
    time.sleep(HOUR)
    for clock, was in zip(clocks, before):
        assert abs(clock() - was - HOUR) < 0.01


@simulated
def test_the_date_is_the_simulations(sim):
    first = datetime.datetime.now(datetime.timezone.utc)
    # The same in each run, whatever day it is.
    Kept.left.setdefault("date", first)
    assert Kept.left["date"] == first
    assert time.strftime("%Y-%m-%d", time.gmtime()) == first.strftime("%Y-%m-%d")
    assert time.strftime("%H:%M") == "%02d:%02d" % time.localtime()[3:5]
    time.sleep(48 * HOUR)
    assert datetime.datetime.now(datetime.timezone.utc) - first == datetime.timedelta(days=2)
    assert time.strftime("%Y-%m-%d", time.gmtime()) == (first + datetime.timedelta(days=2)).strftime("%Y-%m-%d")
    assert datetime.date.fromtimestamp(time.time()) == datetime.date.today()


@simulated
def test_computing_takes_no_time(sim):
    before = time.process_time(), time.thread_time()
    sum(range(1000))
    assert (time.process_time(), time.thread_time()) == before


# Locks.


@simulated
def test_a_lock_has_one_holder(sim):
    lock, inside, most = threading.Lock(), [], []

    def enter():
        with lock:
            inside.append(1)
            most.append(len(inside))
            time.sleep(HOUR)
            inside.pop()

    together(enter, enter, enter)
    assert most == [1, 1, 1]
    is_at(sim, 3 * HOUR)


@simulated
def test_a_lock_is_waited_for_so_long_and_no_longer(sim):
    lock, got = threading.Lock(), []

    def hold():
        with lock:
            time.sleep(2 * HOUR)

    def want():
        time.sleep(1)
        got.append(lock.acquire(timeout=HOUR))
        got.append(lock.acquire(timeout=2 * HOUR))
        got.append(lock.acquire(False))
        is_at(sim, 2 * HOUR)

    together(hold, want)
    assert got == [False, True, False]


@simulated
def test_an_rlock_is_its_holders_again_and_nobody_elses(sim):
    lock, inside, most = threading.RLock(), [], []

    def enter():
        with lock:
            with lock:
                inside.append(threading.get_ident())
                most.append(len(set(inside)))
                time.sleep(HOUR)
            assert not outsider(lambda: lock.acquire(timeout=60))
            inside.pop()

    def outsider(act):
        with concurrent.futures.ThreadPoolExecutor(1) as other:
            return other.submit(act).result()

    together(enter, enter)
    assert most == [1, 1]
    is_at(sim, 2 * (HOUR + 60))


@simulated
def test_a_condition_is_notified_or_its_time_comes(sim):
    condition, said, heard = threading.Condition(), [], []

    def listen():
        with condition:
            assert condition.wait(60) is False
            is_at(sim, 60)
            assert condition.wait_for(lambda: said, timeout=2 * HOUR)
            heard.append(sim.now)

    def say():
        time.sleep(HOUR)
        with condition:
            said.append(1)
            condition.notify_all()

    together(listen, listen, say)
    assert [round(at) for at in heard] == [HOUR, HOUR]


@simulated
def test_notify_wakes_one(sim):
    condition, woken = threading.Condition(), []

    def listen():
        with condition:
            woken.append(condition.wait(2 * HOUR))

    def say():
        time.sleep(HOUR)
        with condition:
            condition.notify()

    together(listen, listen, say)
    assert sorted(woken) == [False, True]
    is_at(sim, 2 * HOUR)


@simulated
def test_an_event_is_set_or_its_time_comes(sim):
    event, heard = threading.Event(), []

    def listen():
        heard.append(event.wait(60))
        heard.append(event.wait())
        is_at(sim, HOUR)

    together(listen, lambda: (time.sleep(HOUR), event.set()))
    assert heard == [False, True]


@simulated
def test_a_semaphore_lets_in_so_many(sim):
    semaphore, inside, most = threading.BoundedSemaphore(2), [], []

    def enter():
        with semaphore:
            inside.append(1)
            most.append(len(inside))
            time.sleep(HOUR)
            inside.pop()

    together(enter, enter, enter, enter)
    assert max(most) == 2
    is_at(sim, 2 * HOUR)
    assert semaphore.acquire() and semaphore.acquire() and not semaphore.acquire(timeout=HOUR)
    is_at(sim, 3 * HOUR)


@simulated
def test_a_barrier_opens_when_all_are_there_or_breaks(sim):
    barrier, passed = threading.Barrier(2), []

    def late():
        time.sleep(HOUR)
        passed.append(barrier.wait())

    together(late, lambda: passed.append(barrier.wait()))
    assert sorted(passed) == [0, 1]
    is_at(sim, HOUR)
    with raises(threading.BrokenBarrierError):
        barrier.wait(timeout=HOUR)
    is_at(sim, 2 * HOUR)


# Queues.


@simulated
def test_a_queue_is_waited_for_when_empty_and_when_full(sim):
    line, got = queue.Queue(maxsize=1), []

    def put():
        for number in range(3):
            line.put(number)
        with raises(queue.Full):
            line.put(3, timeout=60)

    def get():
        for _ in range(3):
            time.sleep(HOUR)
            got.append(line.get())
            line.task_done()
        time.sleep(HOUR)

    with raises(queue.Empty):
        line.get(timeout=HOUR)
    together(lambda: (line.put(-1), put()), lambda: (get(), got.append(line.get())))
    assert got == [-1, 0, 1, 2]
    line.task_done()
    line.join()
    is_at(sim, 5 * HOUR)


@simulated
def test_a_simple_queue_is_waited_for(sim):
    line, got = queue.SimpleQueue(), []

    def get():
        with raises(queue.Empty):
            line.get(timeout=60)
        is_at(sim, 60)
        got.append(line.get())

    together(get, lambda: (time.sleep(HOUR), line.put("it")))
    assert got == ["it"]
    is_at(sim, HOUR)


# Threads.


@simulated
def test_a_thread_is_joined_at_its_end_or_at_the_time(sim):
    thread = threading.Thread(target=time.sleep, args=(2 * HOUR,))
    thread.start()
    thread.join(HOUR)
    is_at(sim, HOUR)
    assert thread.is_alive()
    thread.join()
    is_at(sim, 2 * HOUR)
    assert not thread.is_alive()
    assert thread.name.startswith("Thread-1")


@simulated
def test_threads_join_threads(sim):
    def inner():
        time.sleep(HOUR)

    def outer():
        together(inner, inner)
        is_at(sim, HOUR)

    together(outer, outer)
    is_at(sim, HOUR)


@simulated
def test_a_bare_thread_and_its_locals(sim):
    import _thread

    done, own, seen = _thread.allocate_lock(), threading.local(), []
    done.acquire()
    own.value = "mine"

    def body(value):
        seen.append(hasattr(own, "value"))
        own.value = value
        time.sleep(HOUR)
        seen.append(own.value)
        done.release()

    _thread.start_new_thread(body, ("its",))
    with done:
        assert seen == [False, "its"] and own.value == "mine"
    is_at(sim, HOUR)


@simulated
def test_a_timer_rings_unless_it_is_cancelled(sim):
    rung = []
    one, other = threading.Timer(HOUR, rung.append, ["one"]), threading.Timer(2 * HOUR, rung.append, ["other"])
    one.start()
    other.start()
    one.join()
    is_at(sim, HOUR)
    other.cancel()
    other.join()
    assert rung == ["one"]
    is_at(sim, HOUR)


@simulated
def test_an_executor_has_results_in_time_or_not(sim):
    def work(hours):
        time.sleep(hours * HOUR)
        return hours

    pool = concurrent.futures.ThreadPoolExecutor(2)
    jobs = [pool.submit(work, hours) for hours in (3, 1, 1)]
    with raises(concurrent.futures.TimeoutError):
        jobs[0].result(timeout=HOUR / 2)
    is_at(sim, HOUR / 2)
    assert jobs[1].result() == 1
    is_at(sim, HOUR)
    assert list(pool.map(work, [1])) == [1]
    pool.shutdown()
    assert jobs[0].result(timeout=0) == 3
    is_at(sim, 3 * HOUR)


@simulated
def test_futures_are_waited_for(sim):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(time.sleep, hours * HOUR) for hours in (1, 2, 4)]
        done, left = concurrent.futures.wait(jobs, return_when=concurrent.futures.FIRST_COMPLETED)
        is_at(sim, HOUR)
        assert done == {jobs[0]} and left == set(jobs[1:])
        done, left = concurrent.futures.wait(jobs, timeout=2 * HOUR)
        is_at(sim, 3 * HOUR)
        assert left == {jobs[2]}
        assert list(concurrent.futures.as_completed(jobs))[-1] is jobs[2]
    is_at(sim, 4 * HOUR)


# asyncio.


@simulated
def test_asyncio_sleeps_and_gives_up_at_the_time(sim):
    async def main():
        await asyncio.gather(asyncio.sleep(HOUR), asyncio.sleep(HOUR))
        is_at(sim, HOUR)
        with raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), HOUR)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    assert abs(asyncio.run(main()) - before - 2 * HOUR) < 0.1
    assert abs(sim.now - 2 * HOUR) < 0.1


@simulated
def test_asyncio_is_called_from_threads_and_calls_them(sim):
    def work(hours):
        time.sleep(hours * HOUR)
        return threading.get_ident()

    async def main():
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        other = threading.Thread(target=lambda: (time.sleep(HOUR), loop.call_soon_threadsafe(told.set)))
        other.start()
        await told.wait()
        is_at(sim, HOUR)
        idents = await asyncio.gather(loop.run_in_executor(None, work, 1), asyncio.to_thread(work, 2))
        assert threading.get_ident() not in idents
        is_at(sim, 3 * HOUR)
        other.join()

    asyncio.run(main())


@simulated
def test_asyncio_on_a_thread_serves_sockets(sim):
    got, port = [], queue.Queue()

    async def echo(reader, writer):
        await asyncio.sleep(HOUR)
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def serve():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await asyncio.sleep(2 * HOUR)
        server.close()

    def ask():
        with socket.create_connection(("127.0.0.1", port.get())) as client:
            client.sendall(b"hello\n")
            got.append(client.recv(100))
            is_at(sim, HOUR)

    together(lambda: asyncio.run(serve()), ask)
    assert got == [b"HELLO\n"]


# Descriptors.


def listening():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


@simulated
def test_loopback_sockets_wait_for_each_other(sim):
    with listening() as listener:
        got = []

        def serve():
            connection, _ = listener.accept()
            is_at(sim, HOUR)
            with connection:
                while True:
                    part = connection.recv(1000)
                    if not part:
                        break
                    connection.sendall(part.upper())

        def ask():
            time.sleep(HOUR)
            with socket.create_connection(listener.getsockname()) as client:
                client.sendall(b"a")
                got.append(client.recv(1))
                time.sleep(HOUR)
                client.sendall(b"b")
                got.append(client.recv(1))

        together(serve, ask)
        assert got == [b"A", b"B"]
        is_at(sim, 2 * HOUR)


@simulated
def test_sockets_with_a_timeout_wait_so_long(sim):
    with listening() as listener, socket.socket() as client:
        listener.settimeout(HOUR)
        with raises(socket.timeout):
            listener.accept()
        is_at(sim, HOUR)
        client.settimeout(HOUR)
        client.connect(listener.getsockname())
        other, _ = listener.accept()
        with other:
            with raises(socket.timeout):
                client.recv(1)
            is_at(sim, 2 * HOUR)
            with raises(socket.timeout):
                while True:
                    client.send(bytes(100_000))
            is_at(sim, 3 * HOUR)


@simulated
def test_more_than_the_buffers_hold_is_sent_as_it_is_read(sim):
    one, other = socket.socketpair()
    got = []

    def read():
        time.sleep(HOUR)
        with other:
            while True:
                part = other.recv(1 << 20)
                if not part:
                    break
                got.append(len(part))

    def write():
        with one:
            one.sendall(bytes(8 << 20))
            is_at(sim, HOUR)

    together(read, write)
    assert sum(got) == 8 << 20


@simulated
def test_flags_of_a_call_say_whether_it_waits(sim):
    one, other = socket.socketpair()
    with one, other:
        with raises(BlockingIOError):
            one.recv(1, socket.MSG_DONTWAIT)
        with raises(BlockingIOError):
            one.recvfrom(1, socket.MSG_DONTWAIT)
        with raises(BlockingIOError):
            while True:
                one.send(bytes(100_000), socket.MSG_DONTWAIT)
        while other.recv(1 << 20, socket.MSG_DONTWAIT) and select.select([other], [], [], 0)[0]:
            pass
        got = []
        together(
            lambda: got.append(one.recv(4, socket.MSG_WAITALL)),
            lambda: [(time.sleep(HOUR), other.send(b"x")) for _ in range(4)],
        )
        assert got == [b"xxxx"]
    is_at(sim, 4 * HOUR)


@simulated
def test_parts_and_files_are_sent_as_they_are_read(sim):
    one, other = socket.socketpair()
    got = []
    size = 1 << 20

    def read():
        time.sleep(HOUR)
        with other:
            for part in iter(lambda: other.recv(1 << 20), b""):
                got.append(len(part))

    def write():
        with one, tempfile.TemporaryFile() as file:
            file.write(bytes(size))
            file.flush()
            for send in (
                lambda left: one.sendmsg([bytes(left // 2), bytes(left - left // 2)]),
                lambda left: os.writev(one.fileno(), [bytes(left // 2), bytes(left - left // 2)]),
                lambda left: os.sendfile(one.fileno(), file.fileno(), size - left, left),
            ):
                left = size
                while left:
                    left -= send(left)
            is_at(sim, HOUR)

    together(read, write)
    assert sum(got) == 3 * size


@simulated
def test_files_of_sockets_wait(sim):
    one, other = socket.socketpair()
    with one, other:
        with other.makefile("rw") as file:
            lines = []
            together(lambda: lines.append(file.readline()), lambda: (time.sleep(HOUR), one.sendall(b"a line\n")))
            assert lines == ["a line\n"]
    is_at(sim, HOUR)


@simulated
def test_pipes_wait(sim):
    reading, writing = os.pipe()
    got = []

    def read():
        time.sleep(HOUR)
        while True:
            part = os.read(reading, 1 << 16)
            if not part:
                break
            got.append(len(part))
        os.close(reading)

    def write():
        left = memoryview(bytes(1 << 20))
        while left:
            left = left[os.write(writing, left) :]
        is_at(sim, HOUR)
        time.sleep(HOUR)
        os.close(writing)

    together(read, write)
    assert sum(got) == 1 << 20
    is_at(sim, 2 * HOUR)


@simulated
def test_select_and_poll_wait(sim):
    one, other = socket.socketpair()
    with one, other:
        assert select.select([one], [], [], HOUR) == ([], [], [])
        is_at(sim, HOUR)
        poll = select.poll()
        poll.register(one, select.POLLIN)
        assert poll.poll(HOUR * 1000) == []
        is_at(sim, 2 * HOUR)

        def wait():
            assert select.select([one], [], []) == ([one], [], [])
            assert poll.poll() == [(one.fileno(), select.POLLIN)]
            assert select.select([one], [one], []) == ([one], [one], [])
            is_at(sim, 3 * HOUR)

        together(wait, lambda: (time.sleep(HOUR), other.send(b"x")))


@simulated
def test_selectors_wait(sim):
    one, other = socket.socketpair()
    with one, other:
        for kind in (selectors.EpollSelector, selectors.PollSelector, selectors.SelectSelector):
            began = sim.now
            with kind() as selector:
                key = selector.register(one, selectors.EVENT_READ)
                assert selector.select(HOUR) == []
                is_at(sim, began + HOUR)

                def wait():
                    assert selector.select() == [(key, selectors.EVENT_READ)]
                    assert one.recv(1) == b"x"

                together(wait, lambda: (time.sleep(HOUR), other.send(b"x")))
                is_at(sim, began + 2 * HOUR)


# What others bring.


@simulated
def test_sqlite_waits_for_who_writes(sim):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "data")
        connect = lambda timeout: sqlite3.connect(path, timeout=timeout, isolation_level=None)  # noqa: E731
        first = connect(0)
        first.execute("create table t (n)")
        first.close()
        failed = []

        def write():
            mine = connect(60)
            mine.execute("begin immediate")
            mine.execute("insert into t values (1)")
            time.sleep(60)
            mine.execute("commit")
            mine.close()

        def hurry():
            time.sleep(1)
            mine = connect(10)
            try:
                mine.execute("insert into t values (2)")
            except sqlite3.OperationalError as error:
                failed.append(str(error))
                assert 10 <= sim.now < 13, sim.now
            mine.close()

        def wait():
            time.sleep(1)
            mine = connect(600)
            mine.execute("insert into t values (3)")
            assert 60 <= sim.now < 63, sim.now
            mine.close()

        together(write, hurry, wait)
        assert failed == ["database is locked"]
        last = connect(0)
        assert last.execute("select n from t order by n").fetchall() == [(1,), (3,)]
        last.close()


@simulated
def test_two_threads_log(sim):
    stream = io.StringIO()
    log = logging.Logger("two")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M"))
    log.addHandler(handler)

    def tell(name):
        for number in range(3):
            log.warning("%s %d", name, number)
            time.sleep(HOUR)

    together(lambda: tell("a"), lambda: tell("b"))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    told = [sorted(line[6:] for line in lines[at : at + 2]) for at in (0, 2, 4)]
    assert told == [["a 0", "b 0"], ["a 1", "b 1"], ["a 2", "b 2"]]
    hours = [int(line[:2]) for line in lines]
    assert (hours[2] - hours[0]) % 24 == 1 and (hours[4] - hours[0]) % 24 == 2


@simulated
def test_chance_is_the_same_in_each_run(sim):
    drawn = []
    together(lambda: drawn.append(os.urandom(16).hex()))
    drawn += [random.random(), random.Random().random(), random.SystemRandom().random()]
    drawn += [uuid.uuid4().hex, secrets.token_hex(), os.getrandom(4).hex()]
    assert len(set(drawn)) == len(drawn)
    Kept.drawn.add(tuple(drawn))
    assert len(Kept.drawn) == 1, Kept.drawn


@simulated
def test_locks_for_processes_are_for_threads_too(sim):
    lock, line = multiprocessing.get_context("fork").Lock(), multiprocessing.get_context("fork").SimpleQueue()
    got = []

    def enter():
        with lock:
            assert lock.acquire(timeout=60) is False
            line.put(sim.now)
        got.append(line.get())

    together(enter, enter)
    assert [round(at) for at in got] == [60, 120]


@simulated
def test_two_threads_import_one_module(sim):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "slow_to_import.py"), "w") as file:
            file.write("import time\ntime.sleep(3600)\ndone = True\n")
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        seen = []
        try:
            bring = lambda: seen.append(importlib.import_module("slow_to_import").done)  # noqa: E731
            together(bring, bring)
        finally:
            sys.path.remove(folder)
            sys.modules.pop("slow_to_import", None)
        assert seen == [True, True]
        is_at(sim, HOUR)


# Below Python.

LIBC = ctypes.CDLL(None)


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanos", ctypes.c_long)]


@simulated
def test_a_mutex_of_c_has_one_holder(sim):
    # Zeros are a mutex that nobody holds.
    mutex, got = ctypes.create_string_buffer(64), []

    def enter():
        assert LIBC.pthread_mutex_lock(mutex) == 0
        got.append(sim.now)
        time.sleep(HOUR)
        assert LIBC.pthread_mutex_unlock(mutex) == 0

    together(enter, enter, enter)
    assert [round(at) for at in got] == [0, HOUR, 2 * HOUR]


@simulated
def test_a_readers_and_writers_lock_of_c(sim):
    lock, got = ctypes.create_string_buffer(64), []

    def enter(kind):
        assert getattr(LIBC, "pthread_rwlock_%slock" % kind)(lock) == 0
        got.append(kind)
        time.sleep(HOUR)
        assert LIBC.pthread_rwlock_unlock(lock) == 0

    together(lambda: enter("rd"), lambda: enter("rd"), lambda: enter("wr"))
    assert sorted(got) == ["rd", "rd", "wr"]
    # The readers together, unless the writer came in between.
    assert abs(sim.now - 2 * HOUR) < 1 or got[1] == "wr" and abs(sim.now - 3 * HOUR) < 1


@simulated
def test_a_condition_of_c_is_waited_for(sim):
    mutex, condition = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
    said = []

    def listen():
        LIBC.pthread_mutex_lock(mutex)
        until = Timespec(int(time.time()) + 60, 0)
        assert os.strerror(LIBC.pthread_cond_timedwait(condition, mutex, ctypes.byref(until))) == "Connection timed out"
        assert 59 <= sim.now <= 60
        while not said:
            assert LIBC.pthread_cond_wait(condition, mutex) == 0
        is_at(sim, HOUR)
        LIBC.pthread_mutex_unlock(mutex)

    def say():
        time.sleep(HOUR)
        LIBC.pthread_mutex_lock(mutex)
        said.append(1)
        LIBC.pthread_cond_signal(condition)
        LIBC.pthread_mutex_unlock(mutex)

    together(listen, say)


@simulated
def test_sleeps_and_clocks_of_c(sim):
    LIBC.sleep(3600)
    is_at(sim, HOUR)
    LIBC.usleep(500_000)
    is_at(sim, HOUR + 0.5)
    LIBC.nanosleep(ctypes.byref(Timespec(1, 500_000_000)), None)
    is_at(sim, HOUR + 2)
    assert LIBC.time(None) == int(time.time())


# Loops that wait without a wait.


@simulated
def test_a_loop_waits_for_another_thread(sim):
    flag = []

    def spin():
        while not flag:
            pass

    together(spin, lambda: (time.sleep(0.01), flag.append(1)))
    assert 0.01 <= sim.now < 1


@testing.simulate(seeds=3)
def test_a_loop_waits_for_the_clock(sim):
    def spin(clock):
        until = clock() + 0.1
        while clock() < until:
            pass

    together(lambda: spin(time.time), lambda: spin(time.monotonic))
    assert 0.1 <= sim.now < 0.2
    spin(time.perf_counter)
    assert 0.2 <= sim.now < 0.4


@testing.simulate(seeds=3, preempt="gates")
def test_a_loop_waits_for_the_clock_where_threads_are_left_only_at_gates(sim):
    def spin():
        until = time.time() + 0.1
        while time.time() < until:
            pass

    together(spin, spin)
    assert 0.1 <= sim.now < 0.2


@simulated
def test_a_loop_yields(sim):
    flag = []

    def spin():
        while not flag:
            time.sleep(0)

    together(spin, lambda: flag.append(1))
    assert sim.now < 1


# What is refused.


@simulated
def test_a_lock_of_a_file_is_for_one(sim):
    with tempfile.NamedTemporaryFile() as file, open(file.name) as again:
        fcntl.flock(file, fcntl.LOCK_EX)
        with raises(BlockingIOError):
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
        got = []

        def enter(one):
            fcntl.flock(one, fcntl.LOCK_EX)
            got.append(sim.now)
            time.sleep(HOUR)
            fcntl.flock(one, fcntl.LOCK_UN)

        together(lambda: enter(file), lambda: enter(again))
        assert [round(at) for at in got] == [0, HOUR]


@simulated
def test_a_lock_that_another_process_has_is_refused(sim):
    with tempfile.NamedTemporaryFile() as file, open(file.name, "r+") as again:
        # As another process has it: this kind belongs to the open file.
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 10, 0))
        with raises(OSError):
            fcntl.lockf(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with raises(testing.NotSimulated, "threading.Lock", "LOCK_NB"):
            fcntl.lockf(again, fcntl.LOCK_EX)
        # What nobody has is had at once.
        fcntl.lockf(again, fcntl.LOCK_EX, 1, 100)
        fcntl.lockf(again, fcntl.LOCK_UN, 1, 100)


@simulated
def test_other_processes_are_refused(sim):
    calls = [
        os.fork,
        lambda: subprocess.run(["true"]),
        lambda: subprocess.check_output("true", shell=True),
        lambda: os.system("true"),
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        lambda: os.spawnv(os.P_WAIT, "/bin/true", ["true"]),
        lambda: os.popen("true"),
        lambda: os.execv("/bin/true", ["true"]),
    ]
    for method in ("fork", "spawn", "forkserver"):
        calls.append(multiprocessing.get_context(method).Process(target=print).start)
    for call in calls:
        with raises(testing.NotSimulated, "unittest.mock", "one process"):
            call()

    def elsewhere():
        with raises(testing.NotSimulated):
            subprocess.run(["true"])

    together(elsewhere)


@simulated
def test_the_network_is_refused(sim):
    with socket.socket() as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        calls = [
            lambda: one.connect(("10.0.0.1", 80)),
            lambda: one.connect_ex(("10.0.0.1", 80)),
            lambda: socket.create_connection(("10.0.0.1", 80), timeout=1),
            lambda: socket.create_connection(("example.com", 80)),
            lambda: datagrams.sendto(b"x", ("10.0.0.1", 53)),
            lambda: datagrams.sendmsg([b"x"], [], 0, ("10.0.0.1", 53)),
            lambda: socket.getaddrinfo("example.com", 80),
            lambda: socket.gethostbyname("example.com"),
            lambda: socket.gethostbyname_ex("example.com"),
            lambda: socket.gethostbyaddr("10.0.0.1"),
            lambda: socket.getnameinfo(("10.0.0.1", 80), 0),
        ]
        for call in calls:
            with raises(testing.NotSimulated, "127.0.0.1"):
                call()
        # Here Python asks for the address before it says what it is about to do.
        with raises(socket.gaierror, "127.0.0.1"):
            one.connect(("example.com", 80))
        # Below Python there is no exception of ours, but no wait either.
        address = struct.pack("=HHBBBB8x", socket.AF_INET, socket.htons(80), 10, 0, 0, 1)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.connect(one.fileno(), address, len(address)) == -1
        assert ctypes.get_errno() == errno.ENETUNREACH
        # What is here is not.
        assert socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)[0][4] == ("127.0.0.1", 80)
        assert socket.gethostbyname("localhost") == "127.0.0.1"
        assert one.connect_ex(("127.0.0.1", 9)) != 0


# The end of a run. What outlives it is as it was: each run uses it again.


class Shared:
    lock = threading.Lock()
    rlock = threading.RLock()
    condition = threading.Condition()
    line = queue.Queue()
    simple = queue.SimpleQueue()


def abandoned(*bodies):
    """Starts these and leaves them to themselves."""
    for body in bodies:
        threading.Thread(target=body, daemon=True).start()


@simulated
def test_what_still_waits_at_the_end_ends_and_locks_are_free_again(sim):
    assert threading.active_count() == 1
    assert Shared.lock.acquire(timeout=1) and Shared.rlock.acquire(timeout=1)
    Shared.rlock.release()
    Shared.lock.release()

    def hold():
        with Shared.lock, Shared.rlock:
            threading.Event().wait()

    def want(lock):
        time.sleep(1)
        with lock:
            pass

    abandoned(hold, lambda: want(Shared.lock), lambda: want(Shared.rlock), lambda: want(Shared.lock))
    sim.settle()
    assert threading.active_count() == 5


@simulated
def test_waits_of_all_kinds_end_with_the_run(sim):
    assert threading.active_count() == 1
    assert Shared.line.empty() and Shared.simple.empty()
    one, other = socket.socketpair()
    listener = listening()
    reading, writing = os.pipe()
    full, unread = socket.socketpair()
    forever = threading.Event()
    joined = threading.Thread(target=forever.wait, daemon=True)
    joined.start()
    bodies = [
        lambda: time.sleep(HOUR),
        lambda: Shared.line.get(),
        lambda: Shared.line.get(timeout=HOUR),
        lambda: Shared.simple.get(),
        lambda: Shared.simple.get(timeout=HOUR),
        lambda: [Shared.condition.wait(HOUR) for _ in iter(Shared.condition.__enter__, None)],
        lambda: forever.wait(HOUR),
        lambda: threading.Barrier(2).wait(),
        lambda: joined.join(),
        lambda: joined.join(HOUR),
        lambda: one.recv(1),
        lambda: listener.accept(),
        lambda: os.read(reading, 1),
        lambda: full.sendall(bytes(8 << 20)),
        lambda: select.select([other], [], []),
        lambda: selectors.DefaultSelector().select(HOUR),
        lambda: asyncio.run(asyncio.sleep(HOUR)),
        lambda: concurrent.futures.ThreadPoolExecutor(1).submit(forever.wait).result(),
        lambda: threading.Timer(HOUR, print).run(),
        lambda: LIBC.sleep(3600),
    ]
    abandoned(*bodies)
    sim.settle_now()
    assert threading.active_count() == 1 + 1 + len(bodies) + 1


@simulated
def test_one_that_catches_everything_ends_too(sim):
    assert threading.active_count() == 1

    def stubborn():
        for _ in range(5):
            try:
                threading.Event().wait()
            except BaseException:
                pass

    abandoned(stubborn, stubborn)
    sim.settle()


@simulated
def test_a_mutex_of_c_that_is_held_at_the_end(sim):
    # Those of the run before have ended.
    assert threading.active_count() == 1
    held = ctypes.create_string_buffer(64)

    def hold():
        LIBC.pthread_mutex_lock(held)
        try:
            time.sleep(HOUR)
        finally:
            LIBC.pthread_mutex_unlock(held)

    def want():
        LIBC.pthread_mutex_lock(held)
        LIBC.pthread_mutex_unlock(held)

    abandoned(hold, want, want)
    sim.settle_now()


@simulated
def test_threads_that_the_end_comes_for_in_the_middle(sim):
    assert threading.active_count() == 1
    def work():
        numbers = []
        while True:
            numbers.append(len(numbers))
            if len(numbers) % 10 == 0:
                time.sleep(0.001)

    abandoned(work, work)
    sim.advance(0.01)
    assert threading.active_count() == 3


@simulated
def test_loops_that_wait_end_with_the_run(sim):
    assert threading.active_count() == 1
    never = []

    def spin():
        while not never:
            pass

    def watch():
        while time.time() < 1e12:
            pass

    abandoned(spin, watch)
    sim.advance(0.005)
    assert threading.active_count() == 3


@simulated
def test_threads_that_hand_things_round_end_with_the_run(sim):
    assert threading.active_count() == 1
    one, other = queue.Queue(), queue.SimpleQueue()

    def turn(take, give):
        while True:
            give.put(take.get() + 1)
            time.sleep(0.01)

    abandoned(lambda: turn(one, other), lambda: turn(other, one))
    one.put(0)
    sim.advance(0.1)


class Pool:
    """Outlives runs, as a pool of a program does."""

    threads = []


@testing.simulate(seeds=5)
def test_a_thread_may_be_joined_in_a_later_run(sim):
    for thread in Pool.threads:
        thread.join()
        assert not thread.is_alive()
    Pool.threads = [threading.Thread(target=time.sleep, args=(at,), daemon=True) for at in (1, HOUR)]
    for thread in Pool.threads:
        thread.start()
    sim.advance(2)


# What real calls do besides.


@testing.simulate(seeds=3)
def test_clients_wait_for_a_server_that_has_no_room(sim):
    def serve(family, address):
        with socket.socket(family) as server:
            server.bind(address)
            server.listen(1)

            def ask():
                with socket.socket(family) as client:
                    client.connect(server.getsockname())
                    assert client.recv(1) == b"1"

            def answer():
                time.sleep(HOUR)
                for _ in range(5):
                    client, _ = server.accept()
                    with client:
                        client.send(b"1")

            together(*[ask] * 5, answer)

    serve(socket.AF_UNIX, "\0handwound-room-%d" % os.getpid())
    serve(socket.AF_INET, ("127.0.0.1", 0))
    is_at(sim, 2 * HOUR)


@simulated
def test_a_datagram_waits_for_a_receiver_that_has_no_room(sim):
    name, got = "\0handwound-full-%d" % os.getpid(), []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        receiver.bind(name)

        def send():
            for number in range(1000):
                sender.sendto(b"%d" % number, name)

        def receive():
            time.sleep(HOUR)
            got.extend(int(receiver.recv(10)) for _ in range(1000))

        together(send, receive)
    assert got == list(range(1000))
    is_at(sim, HOUR)


@simulated
def test_what_goes_out_of_the_process_is_no_wait(sim):
    # More than a pipe takes at once.
    for _ in range(100):
        os.write(1, b"." * 4000 + b"\n")
    is_at(sim, 0)


@simulated
def test_reads_that_never_wait(sim):
    reading, writing = os.pipe()
    assert os.read(reading, 0) == b""
    with raises(OSError, "Bad file descriptor"):
        os.read(writing, 1)
    os.close(reading)
    os.close(writing)


@simulated
def test_the_end_comes_also_where_a_descriptor_becomes_another(sim):
    reading, writing = os.pipe()
    nothing, got = os.open(os.devnull, os.O_WRONLY), []

    def replace():
        time.sleep(HOUR)
        os.dup2(nothing, writing)
        time.sleep(HOUR)
        os.dup2(nothing, reading, inheritable=False)

    together(lambda: got.append(os.read(reading, 1)), replace)
    assert got == [b""]
    for descriptor in (reading, writing, nothing):
        os.close(descriptor)


@simulated
def test_counters_of_events(sim):
    if not hasattr(os, "eventfd"):
        return
    counter, got = os.eventfd(0), []

    def count():
        time.sleep(HOUR)
        os.eventfd_write(counter, 3)

    together(lambda: got.append(os.eventfd_read(counter)), count)
    os.close(counter)
    assert got == [3]


@simulated
def test_the_times_of_the_process_are_the_simulations(sim):
    before = os.times()
    time.sleep(HOUR)
    after = os.times()
    assert (before.user, after.user, after.elapsed - before.elapsed) == (0, 0, HOUR)
