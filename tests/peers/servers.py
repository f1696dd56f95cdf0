"""A server's process tree: how it is started, given up, and ended."""

import os
import signal
import socket
import subprocess
import sys
import time

import measure

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS_MAX = 15
STOP_SECONDS_MAX = 3


class Unusable(Exception):
    """A server that cannot be measured, and why."""


class Server:
    """One server: its command, and its process tree while it runs."""

    def __init__(self, name, command, only=None, tls=False, many_descriptors=False):
        self.name, self.command, self.only, self.tls = name, command, only, tls
        self.many_descriptors = many_descriptors
        self.process = self.port = self.log = None

    def spawn(self, cpu, logs, more={}):
        """Runs until stop(), with `more` in its environment. Nothing says yet that it listens."""
        self.port = free_port()
        self.log = os.path.join(logs, f"{self.name}.log")
        # Its scripts and its Python come first: some servers look for python3 there.
        path = os.pathsep.join([os.path.dirname(self.command[0]), os.environ.get("PATH", "")])
        environment = dict(os.environ, PYTHONPATH=HERE, PYTHONDONTWRITEBYTECODE="1", PATH=path, **more)
        environment.pop("VIRTUAL_ENV", None)
        with open(self.log, "wb") as log:
            try:
                self.process = subprocess.Popen(
                    [part.replace("{port}", str(self.port)) for part in self.command],
                    cwd=HERE, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    # A session of its own: Ctrl-C is ours, and what it leaves behind can be found.
                    start_new_session=True, preexec_fn=measure.prepared(cpu, self.many_descriptors),
                )
            except OSError as problem:
                raise Unusable(f"cannot be started: {problem}") from None

    def start(self, cpu, logs, more={}):
        """As spawn(), until it listens. Raises Unusable with the end of its log if it does not in time."""
        self.spawn(cpu, logs, more)
        self.wait_until_it_listens(0.05)

    def wait_until_it_listens(self, pause):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            except OSError:
                time.sleep(pause)
        self.stop()
        raise Unusable(f"does not start; the end of its log: {self.end_of_log()}")

    def end_of_log(self):
        with open(self.log, errors="replace") as log:
            return " / ".join(log.read().strip().splitlines()[-3:])[-400:] or "(empty)"

    def stop(self):
        """Ends the whole tree: asks first, insists after STOP_SECONDS_MAX."""
        process, self.process = self.process, None
        if process is None:
            return
        known = measure.tree(process.pid)
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            pass
        # Children that outlived it are in its session, be it in its group or in one of their own.
        for one in known:
            if session_of(one) == process.pid:
                quietly(os.kill, one, signal.SIGKILL)
        quietly(os.killpg, process.pid, signal.SIGKILL)
        process.wait()

    def url(self, path):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"

    def serves(self, path):
        return self.only is None or path in self.only


def stop_all(servers):
    """Cleaning up is not to be interrupted; Ctrl-C meanwhile counts once all have ended."""
    interrupted = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: interrupted.append(True)) for number in numbers]
    try:
        for server in servers:
            server.stop()
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
    if interrupted:
        raise KeyboardInterrupt


def session_of(pid):
    try:
        return os.getsid(pid)
    except OSError:
        return None


def quietly(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        pass


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def say(text):
    print(text, file=sys.stderr, flush=True)
