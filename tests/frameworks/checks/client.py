"""How the checks speak to the server, how they say what differs, and where they register. Standard library only."""

import hashlib
import http.client
import json
import socket
import ssl

SECONDS_MAX = 30  # A server that hangs is a failed check, not a hung test run.

#: All checks: (name, topic, function), in the order of registration.
registered = []


class Differs(Exception):
    """The server answered, but something else."""


def check(topic):
    """Registers a function as a check of a topic."""

    def register(function):
        registered.append((function.__name__, topic, function))
        return function

    return register


def same(expected, got, what=""):
    if expected != got:
        raise Differs(f"expected {what}{short(expected)} got {short(got)}")


def short(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:200]}… ({len(value)} long)"


class Answer:
    """A whole answer: status, headers, body."""

    def __init__(self, response):
        self.status, self.headers, self.version = response.status, response.headers, response.version
        self.body = response.read()

    def expect(self, status, body=None):
        same(status, self.status, "status ")
        if body is not None:
            same(body, self.body, "body ")
        return self

    def json(self):
        self.expect(200)
        try:
            return json.loads(self.body)
        except ValueError:
            raise Differs(f"expected JSON got {short(self.body)}") from None

    def cookies(self):
        """The Cookie header that answers this."""
        return "; ".join(cookie.split(";")[0] for cookie in self.headers.get_all("Set-Cookie", []))


class Server:
    """Where to connect, and the few ways in which the checks do."""

    def __init__(self, host, port, certificates=None):
        """`certificates`: a file with those to trust, for HTTPS."""
        self.host, self.port = host, port
        self.tls = ssl.create_default_context(cafile=certificates) if certificates else None
        self.scheme = "https" if self.tls else "http"

    def connection(self):
        if self.tls:
            return http.client.HTTPSConnection(self.host, self.port, timeout=SECONDS_MAX, context=self.tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=SECONDS_MAX)

    def socket(self):
        plain = socket.create_connection((self.host, self.port), timeout=SECONDS_MAX)
        # A server may leave out the end of the encrypted stream when it cuts a response.
        return self.tls.wrap_socket(plain, server_hostname=self.host, suppress_ragged_eofs=True) if self.tls else plain

    def ask(self, method, target, body=None, headers=None, **more):
        """One request on a connection of its own."""
        connection = self.connection()
        try:
            connection.request(method, target, body=body, headers=headers or {}, **more)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, target, **headers):
        return self.ask("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def raw(self, *pieces):
        """These bytes, each piece in a send of its own; then all bytes until the server closes."""
        with self.socket() as sock:
            for piece in pieces:
                sock.sendall(piece)
            received = bytearray()
            while piece := sock.recv(65536):
                received += piece
            return bytes(received)

    def host_line(self):
        return b"Host: %s:%d\r\n" % (self.host.encode(), self.port)

    def head_of(self, target, *lines):
        """The bytes of a GET for `target` on a connection that closes."""
        head = [b"GET %s HTTP/1.1\r\n" % target, self.host_line(), b"Connection: close\r\n", *lines, b"\r\n"]
        return b"".join(head)


def digest(content):
    return hashlib.sha256(content).hexdigest()


def noise(size):
    """Bytes of all values that repeat late, so that a lost or doubled piece is seen."""
    block = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(1031))
    return (block * (size // len(block) + 1))[:size]


def unframed(received):
    """The body of one raw answer, chunked or not."""
    head, body = received.split(b"\r\n\r\n", 1)
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    whole = b""
    while True:
        size, body = body.split(b"\r\n", 1)
        count = int(size.split(b";")[0], 16)
        if count == 0:
            return whole
        whole, body = whole + body[:count], body[count + 2 :]


def multipart(fields, name, filename, content, kind="application/octet-stream"):
    """A form with `fields` and one file: its body and its headers."""
    boundary = "----------boundary-of-the-check"
    body = b""
    for field, value in fields.items():
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
    body += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    ).encode()
    body += content + f"\r\n--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
