"""What a test has: the simulation, and clients of the server in it."""

import json as _json
import re
import threading
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

TROUBLE = ("accepts", "sockets", "breaks", "peers", "starts", "date", "signals", "transfers", "connects")
Headers = Union[Mapping[str, str], Iterable[Tuple[str, str]]]


def tells(waits: str) -> bool:
    """Whether somebody waits who has begun something: workers without a job, and the loop, always wait."""
    lines = [line.strip() for line in waits.splitlines()]
    return any(re.match("(also waiting|at )|reactor polls|(worker-[0-9]+) is parked at gate `\\2`", line) is None for line in lines)


class Response:
    """A response that has come whole."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.status: int = raw["status"]
        #: Names in lower case, in the order in which they came.
        self.headers: List[Tuple[str, str]] = raw["headers"]
        self.body: bytes = raw["body"]

    def header(self, name: str, default: Optional[str] = None) -> Optional[str]:
        """The first field of this name."""
        return next((value for key, value in self.headers if key == name.lower()), default)

    @property
    def text(self) -> str:
        """The body as UTF-8; what is none becomes U+FFFD."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body, read as JSON."""
        return _json.loads(self.body)

    def __repr__(self) -> str:
        return "<Response %d, %d bytes>" % (self.status, len(self.body))


class Client:
    """The other end of a connection. What is sent goes out at once; what comes is there after the simulation has moved."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._client = world.connect()
        self._asked: List[str] = []

    def send(self, data: Union[bytes, str]) -> "Client":
        """These very bytes; text as Latin-1."""
        self._client.send(data.encode("latin-1") if isinstance(data, str) else bytes(data))
        return self

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Headers = (),
        body: Union[bytes, str] = b"",
        json: Any = None,
        data: Optional[Mapping[str, str]] = None,
    ) -> "Exchange":
        """A request on this connection, with ``Host`` and the body's length unless ``headers`` have them."""
        fields = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        names = {name.lower() for name, _ in fields}
        if json is not None:
            body = _json.dumps(json)
            fields += [] if "content-type" in names else [("Content-Type", "application/json")]
        elif data is not None:
            from urllib.parse import urlencode

            body = urlencode(data)
            fields += [] if "content-type" in names else [("Content-Type", "application/x-www-form-urlencoded")]
        body = body.encode() if isinstance(body, str) else bytes(body)
        if "host" not in names:
            fields.insert(0, ("Host", "test"))
        if body and not names & {"content-length", "transfer-encoding"}:
            fields.append(("Content-Length", str(len(body))))
        lines = ["%s %s HTTP/1.1" % (method, path)] + ["%s: %s" % field for field in fields]
        self._asked.append("%s %s" % (method, path))
        self.send("\r\n".join(lines + ["", ""]).encode("latin-1") + body)
        return Exchange(self, len(self._asked) - 1, "%s %s" % (method, path))

    def get(self, path: str, *, headers: Headers = ()) -> "Exchange":
        """A GET on this connection."""
        return self.request("GET", path, headers=headers)

    @property
    def received(self) -> bytes:
        """All that has come so far."""
        return bytes(self._client.received())

    @property
    def responses(self) -> List[Response]:
        """Those that have come whole."""
        return [Response(raw) for raw in self._client.responses()]

    @property
    def parting(self) -> str:
        """How the server has parted: ``open`` (not yet), ``finished``, ``reset``, ``refused`` or ``unanswered``."""
        return str(self._client.parting())

    # Slow ones, and broken ones.

    def write_in(self, count: int, every: float) -> "Client":
        """From here on it writes so many bytes at a time, a lot in so many seconds."""
        self._client.write_in(count, float(every))
        return self

    def read_in(self, count: int, every: float) -> "Client":
        """From here on it reads so many bytes at a time, a lot in so many seconds."""
        self._client.read_in(count, float(every))
        return self

    def window(self, count: int) -> "Client":
        """It does not read by itself any more; its system takes so many bytes for it."""
        self._client.window(count)
        return self

    def read(self, count: int) -> int:
        """Reads up to so many bytes of what has come; how many there were."""
        return int(self._client.read(count))

    def read_eagerly(self) -> "Client":
        """It takes whatever comes, as at first."""
        self._client.read_eagerly()
        return self

    def reset_at(self, byte: int, *, of_response: bool = False) -> "Client":
        """The connection is reset at this byte of what the client sends, or of what it gets."""
        self._client.break_at(byte, "reset", not of_response)
        return self

    def cut_at(self, byte: int, *, of_response: bool = False) -> "Client":
        """The stream ends at this byte."""
        self._client.break_at(byte, "cut", not of_response)
        return self

    def stall_at(self, byte: int, *, of_response: bool = False) -> "Client":
        """From this byte on nothing arrives any more, and nobody is told."""
        self._client.break_at(byte, "stall", not of_response)
        return self

    def finish(self) -> None:
        """Ends what this side sends, and goes on reading."""
        self._client.finish()

    def close(self) -> None:
        """Closes, as a program that closes its socket."""
        self._client.close()

    def reset(self) -> None:
        """Resets the connection."""
        self._client.reset()


class Exchange:
    """A request that has been sent, and its response when it has come."""

    def __init__(self, client: Client, number: int, asked: str) -> None:
        self.client = client
        self._number, self._asked = number, asked

    @property
    def response(self) -> Response:
        """Raises AssertionError where it has not come."""
        responses = self.client.responses
        if len(responses) > self._number:
            return responses[self._number]
        waits = self.client._world.report_deadlock()
        received = self.client.received
        raise AssertionError(
            "no response to %s yet; %s%s"
            % (
                self._asked,
                "what has come is %r" % received if received else "nothing has come",
                "\n%s" % waits if waits else "; the simulation goes on by sim.settle() or sim.advance(seconds)",
            )
        )

    @property
    def done(self) -> bool:
        """Whether the response has come."""
        return len(self.client.responses) > self._number

    @property
    def status(self) -> int:
        """The response's status. Raises AssertionError where it has not come."""
        return self.response.status

    @property
    def headers(self) -> List[Tuple[str, str]]:
        """The response's header fields, names in lower case."""
        return self.response.headers

    @property
    def body(self) -> bytes:
        """The response's body."""
        return self.response.body

    @property
    def text(self) -> str:
        """The response's body as text."""
        return self.response.text

    def json(self) -> Any:
        """The response's body, read as JSON."""
        return self.response.json()

    def __repr__(self) -> str:
        return "<%s, %s>" % (self._asked, "%d" % self.status if self.done else "under way")


class Sim:
    """A simulation, which stands still unless the test moves it."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self._reactor: Any = None
        self._running: Optional[threading.Thread] = None

    # Clients.

    def connect(self) -> Client:
        """A connection to the server."""
        return Client(self._world)

    def request(self, method: str, path: str, **how: Any) -> Exchange:
        """A request on a connection of its own; see :meth:`Client.request`."""
        return self.connect().request(method, path, **how)

    def get(self, path: str, **how: Any) -> Exchange:
        """A GET on a connection of its own."""
        return self.request("GET", path, **how)

    def post(self, path: str, **how: Any) -> Exchange:
        """A POST on a connection of its own: ``body``, ``json`` or ``data`` (a form)."""
        return self.request("POST", path, **how)

    # Twisted's way.

    @property
    def reactor(self) -> Any:
        """The reactor of ``handwound.internet``, new in this run, and running on a thread of the simulation.

        Its calls wait on the simulation's clock (:meth:`advance`), its pool's threads are threads of the simulation, and
        what it serves is asked by sockets of this machine. Programs that import it have this one too. It is stopped at
        the end of the run.
        """
        if self._reactor is None:
            from handwound.internet import reactor

            # The one that modules have imported is in use for one run after the other.
            reactor.__init__()  # type: ignore[misc]
            self._reactor = reactor
            self._running = threading.Thread(target=reactor.run, args=(False,), name="reactor")
            self._running.start()
            started = threading.Event()
            reactor.callWhenRunning(started.set)
            started.wait()
        return self._reactor

    def _end(self) -> None:
        """Stops the reactor, if there is one."""
        if self._running is not None and self._running.is_alive():
            if self._reactor.running:
                self._reactor.callFromThread(self._reactor.stop)
            self._running.join()

    # Moving.

    def settle(self) -> None:
        """Until nothing can move any more, however far the clock has to go for that."""
        self._world.settle()

    def settle_now(self) -> None:
        """Until nothing can move at this time."""
        self._world.settle_now()

    def advance(self, seconds: float) -> None:
        """The clock goes on by so many seconds; all that is due meanwhile happens."""
        self._world.advance(float(seconds))

    def step(self) -> bool:
        """One move; False where nothing can move."""
        return bool(self._world.step())

    def run_thread(self, name: str) -> None:
        """One thread goes on, and no other, until it waits; see :attr:`threads` for names."""
        self._world.run_task(name)

    # Deciding.

    def choose(self, label: str, options: Union[int, Sequence[Any]]) -> Any:
        """One of so many numbers, or one of a sequence: part of what is searched, made small and replayed."""
        if isinstance(options, int):
            return int(self._world.choose(label, options))
        return options[self._world.choose(label, len(options))]

    # What goes wrong.

    def allow_trouble(self, *families: str) -> List[str]:
        """Allows families of faults, all when none is named; which strike is for each seed to say, and what this returns.

        ``accepts``, ``breaks`` (connections), ``peers`` (slow clients), ``starts`` (of threads), ``date`` (jumps),
        ``transfers``, ``sockets``, ``signals``, ``connects``.
        """
        return list(self._world.allow_trouble(list(families or TROUBLE)))

    def accept_fails_once(self, error: int) -> None:
        """The next accept fails with this error (``errno.EMFILE``); who waits goes on waiting."""
        self._world.accept_fails_once(error)

    def start_fails_once(self) -> None:
        """The next thread cannot be started."""
        self._world.spawn_fails_once()

    def date_jumps(self, seconds: float) -> None:
        """The date jumps, ahead or back. Durations are not touched: ``time.monotonic`` goes on as ever."""
        self._world.date_jumps(float(seconds))

    def set_network(self, name: str) -> None:
        """``calm`` or ``rough``, from here on."""
        self._world.set_network(name)

    def set_steps_max(self, steps: int) -> None:
        """So many steps in one call are taken for a livelock; 2,000,000 at first."""
        self._world.set_steps_max(steps)

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return float(self._world.now())

    # Looking.

    @property
    def trace(self) -> str:
        """All that has happened, an event a line."""
        return str(self._world.trace())

    @property
    def trace_hash(self) -> int:
        """One number for all that has happened: two runs are the same when it is."""
        return int(self._world.trace_hash())

    @property
    def threads(self) -> List[Tuple[str, str]]:
        """Threads that have not ended: name, and what they are at."""
        return list(self._world.tasks())

    @property
    def diagram(self) -> str:
        """What has happened, as a sequence diagram."""
        return str(self._world.diagram())

    @property
    def timeline_html(self) -> str:
        """What has happened, as a page for a browser."""
        return str(self._world.timeline_html())

    @property
    def perfetto_json(self) -> str:
        """What has happened, for ui.perfetto.dev."""
        return str(self._world.perfetto_json())

    def assert_clean(self) -> None:
        """Stops the server, and raises AssertionError where a thread, a connection, a timer or a job is left."""
        self._world.assert_clean()

    @property
    def deadlock(self) -> Optional[str]:
        """Who waits for what, where nothing can move though somebody waits; else None."""
        found = self._world.report_deadlock()
        return str(found) if found is not None and tells(found) else None
