"""One connection with many requests, and many at once."""

import re
from concurrent.futures import ThreadPoolExecutor

from checks.answers import LARGE, STREAM
from checks.client import Answer, check, digest, same


@check("pages")
def keep_alive(server):
    connection = server.connection()
    try:
        connection.connect()
        first = connection.sock
        for target, body in (("/", b"Hello, world!"), ("/stream", STREAM), ("/large", LARGE), ("/", b"Hello, world!")):
            connection.request("GET", target)
            Answer(connection.getresponse()).expect(200, body)
            # http.client forgets the socket when the server closes, and would silently connect again.
            same(True, connection.sock is first, f"connection kept after {target}: ")
        connection.request("POST", "/echo", b"hello")
        same(5, Answer(connection.getresponse()).json()["size"], "size ")
    finally:
        connection.close()


@check("pages")
def pipelined(server):
    one = b"GET /users/%d HTTP/1.1\r\n" + server.host_line()
    sent = b"".join(one % n + b"\r\n" for n in range(9)) + one % 9 + b"Connection: close\r\n\r\n"
    received = server.raw(sent)
    same([b"%d" % n for n in range(10)], re.findall(rb"Hello, (\d)!", received), "answers in order ")


@check("pages")
def three_requests_meet_in_the_application(server):
    """Each is answered only when all three are in the application: they run at once."""
    with ThreadPoolExecutor(3) as clients:
        answers = [clients.submit(server.get, "/meet") for _ in range(3)]
        for answer in answers:
            answer.result().expect(200, b"met")


@check("pages")
def many_clients_at_once_get_their_own_answers(server):
    def client(number):
        connection = server.connection()
        try:
            for n in range(15):
                connection.request("GET", f"/users/{number}-{n}")
                Answer(connection.getresponse()).expect(200, b"Hello, %d-%d!" % (number, n))
                content = b"%d " % number * (n * 500)
                connection.request("POST", "/echo", content)
                same({"size": len(content), "sha256": digest(content)}, Answer(connection.getresponse()).json())
        finally:
            connection.close()

    with ThreadPoolExecutor(24) as clients:
        # list() takes the results, and with them what a client raised.
        list(clients.map(client, range(24)))
