"""What of a request reaches the application: path, query, method, header fields."""

import json
from urllib.parse import quote

from checks.client import Differs, check, same, unframed


@check("pages")
def hello(server):
    answer = server.get("/").expect(200, b"Hello, world!")
    same("text/plain", answer.headers.get_content_type(), "Content-Type ")


@check("pages")
def routing_with_a_name(server):
    server.get("/users/Ada").expect(200, b"Hello, Ada!")


@check("pages")
def query_and_percent_decoding(server):
    target = "/users/" + quote("Ada Lovelace") + "?greeting=Good+day%2C"
    server.get(target).expect(200, b"Good day,, Ada Lovelace!")
    target = "/users/" + quote("Zoë") + "?greeting=" + quote("Olá")
    server.get(target).expect(200, "Olá, Zoë!".encode())


@check("pages")
def query_fields(server):
    target = "/query?a=1&a=2&equals=x%3Dy&plus=%2B+&name=" + quote("Zoë & co?")
    expected = {"a": ["1", "2"], "equals": ["x=y"], "plus": ["+ "], "name": ["Zoë & co?"]}
    same(expected, server.get(target).json(), "fields ")


@check("pages")
def query_of_6_kilobytes(server):
    same({"a": ["x" * 6_000]}, server.get("/query?a=" + "x" * 6_000).json(), "fields ")


@check("pages")
def methods(server):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        server.ask(method, "/method").expect(200, method.encode())


@check("pages")
def no_such_page(server):
    server.get("/no/such/page").expect(404)


@check("pages")
def unicode_path(server):
    for text in ("é", "日本語", "a b+c", "🙂"):
        server.get("/unicode/" + quote(text)).expect(200, text.encode())


@check("pages")
def unicode_path_unquoted(server):
    received = server.raw(server.head_of("/unicode/é".encode()))
    # RFC 9112 wants it percent-encoded; a server may serve it or refuse it, but not fail.
    status = received[9:12]
    if status == b"200":
        same("é".encode(), unframed(received), "body ")
    elif status != b"400":
        raise Differs(f"expected status 200 or 400 got {received[:40]!r}")


@check("pages")
def cookie_get(server):
    same({"flavour": "oat", "count": "2"}, server.get("/cookie/get", Cookie="flavour=oat; count=2").json(), "cookies ")


@check("pages")
def cookie_get_from_two_headers(server):
    received = server.raw(server.head_of(b"/cookie/get", b"Cookie: flavour=oat\r\n", b"Cookie: count=2\r\n"))
    same({"flavour": "oat", "count": "2"}, json.loads(unframed(received)), "cookies ")
