#!/usr/bin/env python3
"""Holds idle connections: holder.py PORT NUMBER, then on its input lines of `open COUNT`, `use COUNT`, `count`.

`use` has each new connection make one request. Each line is answered by how many connections are open: fewer than were
asked for, where the server takes no more or takes too long. Ends, and closes them, at the end of its input. NUMBER is
that of this process: each has source addresses of its own.
"""

import select
import socket
import sys
import time

import measure

# A server whose time goes into looking at all connections over and over gets no further in sensible time.
OPENING_SECONDS_MAX = 30

# Each source address has as many ports as the system gives away, some 28,000 on Linux.
CONNECTIONS_AN_ADDRESS = 20_000
ADDRESSES_A_PROCESS = 4
# Linux: choose the port at connect, so that addresses do not run out of them.
IP_BIND_ADDRESS_NO_PORT = 24
REQUEST = b"GET /seed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
ANSWER_ENDS = b"Hello, world!"


def source(number, count):
    """The address from which connection `count` of holder `number` comes: 127.0.0.2 and so on."""
    at = 2 + number * ADDRESSES_A_PROCESS + count // CONNECTIONS_AN_ADDRESS
    return f"127.0.{at // 250}.{at % 250 + 1}" if at >= 250 else f"127.0.0.{at}"


def open_one(port, address):
    sock = socket.socket()
    sock.settimeout(5)
    if sys.platform.startswith("linux"):
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((address, 0))
    sock.connect(("127.0.0.1", port))
    return sock


def use(sock):
    """One request and its answer."""
    sock.sendall(REQUEST)
    got = b""
    while ANSWER_ENDS not in got:
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("closed")
        got += more


def is_open(sock):
    """Reads what is left of an answer. An end, or an error, is none."""
    try:
        while sock.recv(65536, socket.MSG_DONTWAIT):
            pass
        return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def still_open(held):
    """Those of which nothing is to be read but the rest of an answer."""
    poller = select.poll()
    by_number = {sock.fileno(): sock for sock in held}
    for number in by_number:
        poller.register(number, select.POLLIN)
    for number, _ in poller.poll(0):
        if not is_open(by_number[number]):
            by_number.pop(number).close()
    return list(by_number.values())


def main():
    port, number = int(sys.argv[1]), int(sys.argv[2])
    measure.raise_descriptors()
    held, opened = [], 0
    for line in sys.stdin:
        word, *count = line.split()
        deadline = time.monotonic() + OPENING_SECONDS_MAX
        for _ in range(int(count[0]) if count else 0):
            if time.monotonic() > deadline:
                break
            try:
                sock = open_one(port, source(number, opened))
                opened += 1
                held.append(sock)
                if word == "use":
                    use(sock)
            except OSError:
                # Refused, closed, or no descriptor left: fewer are held, and told.
                break
        held = still_open(held)
        print(len(held), flush=True)


if __name__ == "__main__":
    main()
