#!/usr/bin/env python3
"""POSTs of 64 KiB whose bodies are cut: segments.py PORT SEGMENTS SECONDS CONNECTIONS.

Sends a segment on each connection, then the next one on each, so that the server has time to read what has come. Prints
how many requests were answered, and in how many seconds.
"""

import socket
import sys
import time

BODY_BYTES = 64 * 1024


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def cut(count):
    """The request in so many segments, the head with the first."""
    head = f"POST /length/{BODY_BYTES} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {BODY_BYTES}\r\n\r\n".encode()
    piece = b"z" * (BODY_BYTES // count)
    return [head + piece] + [piece] * (count - 1)


def is_answer(got):
    """A head and the body's length behind it; a wrong answer never ends, and the socket's timeout tells."""
    head, _, body = got.partition(b"\r\n\r\n")
    return head.startswith(b"HTTP/1.1 200") and str(BODY_BYTES).encode() in body


def main():
    port, count, seconds, connections = map(int, sys.argv[1:])
    segments, socks = cut(count), [connect(port) for _ in range(connections)]
    requests, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        for segment in segments:
            for sock in socks:
                sock.sendall(segment)
        for at, sock in enumerate(socks):
            got = b""
            while not is_answer(got):
                more = sock.recv(65536)
                if not more:
                    raise SystemExit("the server closes within an answer")
                got += more
            requests += 1
            if b"connection: close" in got.lower():
                socks[at] = connect(port)
    print(requests, time.monotonic() - began)


if __name__ == "__main__":
    main()
