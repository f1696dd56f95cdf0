"""Whether a server's answers are right: nothing is measured before they are."""

import http.client
import json
import ssl

from servers import Unusable

ECHO = bytes(range(256)) * 64


def expected(path):
    """(method, request body, response body) of a right exchange; a response body of None is judged by its JSON."""
    kind, _, number = path[1:].partition("/")
    if kind == "echo":
        return "POST", ECHO, ECHO
    if kind == "length":
        return "POST", b"z" * int(number), number.encode()
    if kind in ("bytes", "pieces"):
        return "GET", None, b"x" * (int(number) if kind == "bytes" else 1 << 16)
    bodies = {"big": b"x" * (1 << 20), "stream": b"y" * (1 << 20), "flask": None}
    return "GET", None, bodies.get(kind, b"Hello, world!")


def verify(port, path, tls=False):
    """Asks twice on one connection. Returns whether the connection was kept; raises Unusable at a wrong answer."""
    connection = connect(port, tls)
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


def connect(port, tls=False):
    if not tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)


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
