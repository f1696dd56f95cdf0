"""Which servers there are, how each is started, stopped and checked for right answers."""

import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import measure

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PACKAGES = ["flask", "gunicorn", "granian", "uwsgi", "bjoern", "twisted", "waitress", "cheroot", "freastal"]
START_SECONDS_MAX = 15
STOP_SECONDS_MAX = 3

# name, the package it needs, command; {python}, {bin} (its scripts), {prefix}, {port}, {threads} are replaced.
# Access logs are off, as far as a server lets us.
PEERS = [
    ("gunicorn", "gunicorn", "{python} -m gunicorn -b 127.0.0.1:{port} -w 1 -k gthread --threads {threads}"
     " --log-level warning apps:app"),
    ("granian", "granian", "{python} -m granian --interface wsgi --http 1 --host 127.0.0.1 --port {port} --workers 1"
     " --blocking-threads {threads} --no-log apps:app"),
    ("uwsgi", "uwsgi", "{bin}/uwsgi --http-socket 127.0.0.1:{port} --master --die-on-term --enable-threads"
     " --threads {threads} --disable-logging --listen 100 --home {prefix} --module apps:app"),
    ("bjoern", "bjoern", "{python} serve.py bjoern {port} {threads}"),
    ("freastal", "freastal", "{python} serve.py freastal {port} {threads}"),
    ("waitress", "waitress", "{python} -m waitress --listen 127.0.0.1:{port} --threads {threads} apps:app"),
    ("cheroot", "cheroot", "{python} serve.py cheroot {port} {threads}"),
    # As its users start it, with its pool of 5 to 20 threads; and with as many threads as the others. It logs to its
    # standard output: a log file it would rotate, and a device that stood in for one it would rename.
    ("twistd", "twisted", "{bin}/twistd -n --pidfile= -l - web --wsgi=apps.app"
     " --listen tcp:{port}:interface=127.0.0.1"),
    ("twisted", "twisted", "{python} serve.py twisted {port} {threads}"),
]
HANDWOUND = ("{handwound} web --python {python} --app-dir {here} --wsgi apps:app"
             " --listen tcp:{port}:interface=127.0.0.1 --threads {threads}..{threads}")


class Unusable(Exception):
    """A server that cannot be measured, and why."""


class Server:
    """One server: its command, and its process tree while it runs."""

    def __init__(self, name, command, only=None):
        self.name, self.command, self.only = name, command, only
        self.process = self.port = self.log = None
        self.notes = {}

    def start(self, cpu, logs):
        """Runs until stop(). Raises Unusable with the end of its log if it does not listen in time."""
        self.port = free_port()
        self.log = os.path.join(logs, f"{self.name}.log")
        environment = dict(os.environ, PYTHONPATH=HERE, PYTHONDONTWRITEBYTECODE="1")
        with open(self.log, "wb") as log:
            try:
                self.process = subprocess.Popen(
                    [part.replace("{port}", str(self.port)) for part in self.command],
                    cwd=HERE, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    # A session of its own: Ctrl-C is ours, and what it leaves behind can be found.
                    start_new_session=True, preexec_fn=measure.pinned(cpu),
                )
            except OSError as problem:
                raise Unusable(f"cannot be started: {problem}") from None
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
                return
            except OSError:
                time.sleep(0.05)
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

    def serves(self, path):
        return self.only is None or path in self.only


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


def installed(python):
    """Versions of the PACKAGES that `python` can import, its prefix and version."""
    script = (
        "import importlib.metadata as m, json, sys\nfound = {}\n"
        f"for name in {PACKAGES!r}:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps([found, sys.prefix, sys.version.split()[0]]))"
    )
    return json.loads(subprocess.run([python, "-c", script], check=True, stdout=subprocess.PIPE).stdout)


def make_environment(folder, base):
    """A virtual environment with the peers in it; a package that fails is named and left out."""
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([base, "-m", "venv", folder], check=True)
    present = installed(python)[0]
    for package in PACKAGES:
        if package in present:
            continue
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
        done = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        why = (done.stdout.strip().splitlines() or ["no message"])[-1]
        print(f"setup: {package} " + ("installed" if done.returncode == 0 else f"left out: {why}"), file=sys.stderr)
    return python


def build_floor(folder):
    """The native floor's program, compiled into `folder`; None without a C compiler or without epoll."""
    compiler = shutil.which("cc")
    if not compiler or not sys.platform.startswith("linux"):
        return None
    program = os.path.join(folder, "floor")
    done = subprocess.run([compiler, "-O2", "-o", program, os.path.join(HERE, "floor.c")], stderr=subprocess.PIPE)
    return program if done.returncode == 0 else None


def known(python, prefix, packages, handwound, threads, added, floor):
    """(servers that can be tried, {name: why not} for the others), handwound first."""
    words = {
        "python": python, "bin": os.path.dirname(python), "prefix": prefix, "here": HERE,
        "handwound": handwound, "floor": floor, "threads": str(threads), "port": "{port}",
    }

    def server(name, command, only=None):
        return Server(name, [part.format(**words) for part in shlex.split(command)], only)

    servers, missing = [], {}
    if os.path.exists(handwound):
        servers.append(server("handwound", HANDWOUND))
    else:
        missing["handwound"] = f"no {handwound}; build it with cargo build --release, or name it with --handwound"
    for name, package, command in PEERS:
        if package in packages:
            servers.append(server(name, command))
        else:
            missing[name] = f"{package} is not installed in {python}"
    servers += [server(name, command) for name, command in added]
    if floor:
        servers.append(server("floor", "{floor} {port}", only=("/seed", "/hello")))
    else:
        missing["floor"] = "no C compiler, or no epoll"
    return servers, missing


def expected(path):
    """(method, request body, response body) of a right exchange; a response body of None is judged by its JSON."""
    if path == "/echo":
        body = bytes(range(256)) * 64
        return "POST", body, body
    bodies = {"/big": b"x" * (1 << 20), "/stream": b"y" * (1 << 20), "/flask": None}
    return "GET", None, bodies.get(path, b"Hello, world!")


def verify(port, path):
    """Asks twice on one connection. Returns whether the connection was kept; raises Unusable at a wrong answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        kept = exchange(connection, path)
        first = connection.sock
        try:
            return exchange(connection, path) and kept and connection.sock is first
        except ConnectionError:
            # It closed without saying so.
            connection.close()
            exchange(connection, path)
            return False
    except (OSError, ValueError, http.client.HTTPException) as problem:
        raise Unusable(f"does not answer {path}: {problem!r}") from None
    finally:
        connection.close()


def exchange(connection, path):
    """One request. Returns whether the server means to keep the connection; raises Unusable at a wrong answer."""
    method, sent, wanted = expected(path)
    connection.request(method, path, body=sent)
    response = connection.getresponse()
    got = response.read()
    if response.status != 200:
        raise Unusable(f"answers {path} with {response.status} {got[:60].decode('latin-1')!r}")
    right = json.loads(got) == {"message": "Hello, world!", "n": 1} if wanted is None else got == wanted
    if not right:
        raise Unusable(f"answers {path} with a wrong body of {len(got)} bytes")
    return not response.will_close
