"""Stands in for the compiled part of the package, so that the rest can be tested with any Python."""

import sys
import types
from collections import deque

LOG = []


class ClientDisconnected(ConnectionError):
    pass


class Exchange:
    """A request that was never sent, and the response to it. Calls for threads are kept until `settle`."""

    version, scheme, walked = b"HTTP/1.1", "http", 0
    peer, local = ("10.0.0.1", 50000), ("127.0.0.1", 8080)

    def __init__(self, target=b"/", method=b"GET", headers=(), body=b"", room=1 << 30):
        self.method, self.target, self.path = method, target, target.partition(b"?")[0]
        self.headers = [(b"Host", b"example.com:8080")] + list(headers)
        self.body_length, self._body, self.room = len(body), body, room
        self.head, self.sent, self.ended, self.gone = None, [], None, False
        self.calls, self.leaving, self.handed = deque(), [], None

    def read_body(self, offset, length):
        return self._body[offset : offset + length]

    def start(self, code, reason, fields):
        assert self.head is None
        self.head = (code, reason, list(fields))

    def write(self, data):
        if self.gone:
            raise ClientDisconnected()
        assert self.head is not None and self.ended is None
        self.sent.append(data)

    def try_write(self, data):
        if len(data) > self.room:
            return False
        self.room -= len(data)
        self.write(data)
        return True

    def finish(self):
        self.ended = self.ended or "finished"

    def fail(self, text):
        self.ended = self.ended or text

    def is_disconnected(self):
        return self.gone

    def on_disconnect(self, tell):
        self.leaving.append(tell)

    def leave(self):
        self.gone = True
        for tell in self.leaving:
            tell()

    def call_in_thread(self, call):
        self.calls.append(call)

    def call_from_thread(self, call, *arguments):
        self.calls.append(lambda: call(*arguments))

    def settle(self):
        while self.calls:
            self.calls.popleft()()

    def hand_over(self, *arguments):
        self.handed = arguments

    def send_file(self, *arguments):
        self.handed = ("file",) + arguments

    def send_listing(self, *arguments):
        self.handed = ("listing",) + arguments

    def field(self, name):
        return [value for found, value in self.head[2] if found.lower() == name.lower()]

    @property
    def body(self):
        return b"".join(self.sent)


class WSGIApplication:
    def __init__(self, callable, name):
        self.callable, self.name = callable, name


native = types.ModuleType("handwound._native")
native.__version__ = "0"
native.ClientDisconnected = ClientDisconnected
native.WSGIApplication = WSGIApplication
native.log_error = LOG.append
sys.modules["handwound._native"] = native


class Delayed:
    def __init__(self, call):
        self.call, self.waits = call, True

    def active(self):
        return self.waits

    def cancel(self):
        self.waits = False

    def reset(self, seconds):
        pass


class Reactor:
    """A clock that is wound by hand."""

    def __init__(self):
        self.now, self.delayed = 0.0, []

    def seconds(self):
        return self.now

    def callLater(self, delay, call, *arguments):
        self.delayed.append((delay, Delayed(lambda: call(*arguments))))
        return self.delayed[-1][1]
