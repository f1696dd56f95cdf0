"""Asks Twisted and handwound the same, and compares what they answer.

    compare.py PORT_OF_TWISTED PORT_OF_HANDWOUND [--theirs]

With `--theirs`, handwound serves Twisted's own resources. Prints a line for each request that they answer differently, and how. Where they are meant to differ, `MEANT` says why.
Statuses, header fields and bodies are compared; of error pages, redirects and listings, which each writes in words of
its own, the status and the fields.
"""

import calendar
import email.utils
import re
import socket
import sys

# What each server says of itself and of how it sends, which is not the tree's.
OWN_FIELDS = {"date", "server", "connection", "content-length", "transfer-encoding", "keep-alive", "vary"}
# Ours alone, on listings.
OWN_FIELDS |= {"content-security-policy", "x-content-type-options"}

# What is meant to differ, by request line; the fields or parts that may, and why. Differences marked with a star are of
# our resources; the others are there for Twisted's own resources too, when handwound serves them.
MEANT = {
    "HEAD /nothing": ("status allow content-type", "a HEAD that nobody answers is a 405, not an exception"),
    "HEAD /post": ("status allow content-type", "a HEAD that nobody answers is a 405, not an exception"),
    "GET /dynamic/raise": ("content-type", "the page says its charset"),
    "GET /raises": ("content-type", "the page says its charset"),
    "GET /scripts/raises.rpy": ("content-type", "the page says its charset"),
    "GET /scripts/syntax.rpy": ("content-type", "the page says its charset"),
    "GET /failing": ("content-type body", "an application that fails gets a page"),
    "POST /post form without end": ("content-type body", "a bad form gets a page"),
    "POST /post form without boundary": ("content-type body", "a bad form gets a page"),
    "GET /session": ("set-cookie", "scripts in a page need not read the session's name"),
    "GET /session?name=value": ("set-cookie", "scripts in a page need not read the session's name"),
    "GET /typed/hello.txt": ("*content-type", "what is set on a folder holds for what is in it"),
    "GET /validators If-None-Match: W/\"v1\"": (
        "status content-type body last-modified",
        "a weak tag is good enough for If-None-Match (RFC 9110, 13.1.2)",
    ),
    "GET /show on [::1]:80": ("status content-type body", "Twisted has no name for a host that is an IPv6 address"),
    "POST /files/": ("*status content-type allow body", "a listing is not for POST"),
    "GET /files/hello.txt Range: bytes=100-": (
        "*accept-ranges body content-type last-modified",
        "what is not in a file is told in words",
    ),
    "GET /files/hello.txt If-Modified-Since: Mon, 01 Jan 2035 00:00:00 GMT": (
        "*accept-ranges",
        "a 304 has no fields that the client knows already (RFC 9110, 15.4.5)",
    ),
    "GET /files/a%00b": ("status content-type body", "no path holds a NUL; Twisted raises an exception"),
    "GET /scripts/hello.rpy": ("body", "the tutorial's listing sends a str, which Twisted refuses on Python 3"),
    "GET /scripts/hello.rpy/below": ("body", "the tutorial's listing sends a str, which Twisted refuses on Python 3"),
}


def requests():
    """Pairs of a name and the bytes of a request."""
    found = []

    def add(method, target, fields="", body=b"", host="localhost", name=None):
        head = "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s" % (method, target, host, fields)
        if body:
            head += "Content-Length: %d\r\n" % len(body)
        name = name or method + " " + target + (" " + fields.strip().replace("\r\n", " | ") if fields else "")
        found.append((name if host == "localhost" else name + " on " + host, (head + "\r\n").encode("latin-1") + body))

    for target in """
        / /show /show?a=1&a=2&b=&c&d=%41+x;e=5 /show/a%20b//c?x=1 /show/%2F/x /show/%C3%A9
        /branch /branch/ /branch/leaf/x/y /branch/inner /branch/inner/ /branch/inner/x /branch/b%20c /branch%2Fleaf
        /nope /empty /empty/ /families /nothing /allowed //show /show/../x
        /dynamic /dynamic/ /dynamic/a/b /dynamic/a/ /dynamic/raise /dynamic/none /dynamic/none/x /dynamic/forbidden
        /dynamic/teapot /raises /text /number /none
        /later /atonce /thread /finished /finished?seen=1 /pulled /pushed
        /cookies /redirects /redirects?to=http://a.example/b /redirects?how=helper&to=/a%26b /away /away/x?y
        /parent/up /parent/up?x=1 /parent/up/x /parent/ /validators /headers /split /data /data/x
        /hosts /hosts/ /lonely /lonely/x /session /session?name=value
        /app /app/ /app//x?y /failing /rewriting/x/y /rewriting/ /rewriting /guarded/x/y /apps/ /apps/b%20c/d%2Fe
        /files /files/ /files/hello.txt /files/sub /files/sub?x=1 /files/sub/ /files/plain/ /files/plain /files/none
        /files/README /files/spa%20ce.html /files/../tree.py /files/%2e%2e/tree.py /files/..%2ftree.py
        /files/hello.txt/ /files/hello.txt/x /files/hello /files/a%00b /files/sub/index.html
        /extensions/hello /extensions/data /missing/x /mounted/put /mounted/hello.txt /typed/hello.txt
        /unlisted/plain/ /nocache/hello.txt
        /scripts/hello.rpy /scripts/hello.rpy/below /scripts/resource.rpy /scripts/resource.rpy/below/x
        /scripts/cached.rpy /scripts/cached.rpy /scripts/folder/ /scripts/RESOURCE.rpy
        /scripts/raises.rpy /scripts/empty.rpy /scripts/syntax.rpy
    """.split():
        add("GET", target)
    for method in ("HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PURGE", "get"):
        body = b"x=1" if method in ("POST", "PUT") else b""
        for target in "/families /nothing /allowed /post /head /any /data /show /away /validators /app /nope".split():
            add(method, target, body=body)
    add("GET", "/show", "X-One: 1\r\nX-One: 2\r\nCookie: a=1; b=2; c\r\nCookie: d=4\r\n")
    for credentials in ("dTpwOng=", "dQ==", "%%%", "dTo="):
        add("GET", "/show", "Authorization: Basic %s\r\n" % credentials)
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    add("POST", "/post", form, b"a=1&b=%41&a=+2&c=&d")
    add("POST", "/post?a=0&q=1", form, b"a=1")
    add("POST", "/post", form.replace("\r", "; charset=utf-8\r"), b"a=1")
    part = b'--xx\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    parts = part % (b"f", b"", b"val") + part % (b"u", b'; filename="a.txt"\r\nContent-Type: text/plain', b"a\r\n\0b")
    multipart = "Content-Type: multipart/form-data; boundary=xx\r\n"
    add("POST", "/post?q=1", multipart, parts + b"--xx--\r\n", name="POST /post form with a file")
    add("POST", "/post", multipart, b"garbage", name="POST /post form without end")
    add("POST", "/post", "Content-Type: multipart/form-data\r\n", b"x", name="POST /post form without boundary")
    add("POST", "/show", "Content-Type: text/plain\r\n", b"a=1")
    for tags in ('"v1"', 'W/"v1"', '"v2"', '"v2", "v1"', "*"):
        add("GET", "/validators", "If-None-Match: %s\r\n" % tags)
    for since in ("Sun, 09 Sep 2001 01:46:40 GMT", "Sun, 09 Sep 2001 01:46:39 GMT", "Sunday", "Mon, 01 Jan 2035 00:00:00 GMT"):
        add("GET", "/validators", "If-Modified-Since: %s\r\n" % since)
    for host in ("a.example", "A.example:80", "b.example", "c.example", "[::1]:80"):
        for target in ("/hosts", "/hosts/", "/hosts/below/x", "/lonely/", "/show"):
            add("GET", target, host=host)
    for wanted in ("0-4", "-3", "5-", "0-1,3-4", "100-", "4-2"):
        add("GET", "/files/hello.txt", "Range: bytes=%s\r\n" % wanted)
    add("GET", "/files/hello.txt", "Range: lines=1\r\n")
    add("GET", "/files/hello.txt", "If-Modified-Since: Mon, 01 Jan 2035 00:00:00 GMT\r\n")
    for target in ("/files/hello.txt", "/files/", "/files/none", "/files/sub"):
        add("HEAD", target)
        add("POST", target, body=b"x")
    return found


def ask(port, request):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(30)
        connection.sendall(request)
        pieces = []
        while True:
            piece = connection.recv(65536)
            if not piece:
                return b"".join(pieces).replace(b":%d" % port, b":PORT")
            pieces.append(piece)


def taken_apart(answer):
    """Status, fields and body."""
    head, _, body = answer.decode("latin-1").partition("\r\n\r\n")
    lines = head.split("\r\n")
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields.setdefault(name.lower(), []).append(value.strip())
    if fields.get("transfer-encoding") == ["chunked"]:
        body = "".join(chunks(body))
    return lines[0].split(" ")[1:2], fields, body


def chunks(body):
    while True:
        size, end, rest = body.partition("\r\n")
        if not end:
            yield "(cut)"
            return
        size = int(size, 16)
        if size == 0:
            return
        yield rest[:size]
        body = rest[size + 2 :]


def differences(name, theirs, ours):
    """What differs, by its name: pairs of Twisted's and ours."""
    found = {}
    if theirs[0] != ours[0]:
        found["status"] = theirs[0], ours[0]
    for field in sorted(set(theirs[1]) | set(ours[1])):
        pair = [shown(field, answer[1].get(field)) for answer in (theirs, ours)]
        if field not in OWN_FIELDS and not is_same(*pair):
            found[field] = tuple(pair)
    is_page = any("text/html; charset=utf-8" in answer[1].get("content-type", ()) for answer in (theirs, ours))
    if not is_page:
        bodies = [re.sub(r"--[0-9a-zA-Z-]{8,}", "--BOUNDARY", answer[2]) for answer in (theirs, ours)]
        bodies = [body.lower().replace(" ", "") if "BOUNDARY" in body else body for body in bodies]
        if bodies[0] != bodies[1]:
            found["body"] = tuple(bodies)
    return found


def is_same(theirs, ours):
    if isinstance(theirs, int) and isinstance(ours, int):
        # Dates; Twisted rounds a file's fractions of a second up.
        return abs(theirs - ours) <= 1
    return theirs == ours


def shown(field, values):
    """Values in a form in which what means the same is the same."""
    if values is None:
        return None
    if field == "allow":
        # Twisted allows HEAD also where nobody answers it.
        return sorted(set(re.split(r",\s*", values[0])) - {"", "HEAD"})
    if field == "content-type":
        return [re.sub(r"boundary=.*", "boundary", value) for value in values]
    if field == "etag" and not values[0].startswith('"v'):
        # Ours alone, on files.
        return None
    if field == "last-modified":
        return calendar.timegm(email.utils.parsedate(values[0]))
    if field == "set-cookie":
        return [re.sub(r"SESSION=[0-9a-f]+", "SESSION=NAME", value) for value in values]
    return values


def main():
    twisted, handwound = (int(port) for port in sys.argv[1:3])
    theirs_served = "--theirs" in sys.argv
    asked = differing = 0
    for name, request in requests():
        answers = [taken_apart(ask(port, request)) for port in (twisted, handwound)]
        found = differences(name, *answers)
        meant = MEANT.get(name, ("", ""))[0]
        if theirs_served and meant.startswith("*"):
            meant = ""
        may_differ = meant.strip("*").split()
        wrong = {part: pair for part, pair in found.items() if part not in may_differ}
        asked += 1
        if wrong:
            differing += 1
            print(name)
            for part, (theirs, ours) in sorted(wrong.items()):
                print("    %s\n        Twisted:   %r\n        handwound: %r" % (part, theirs, ours))
        if meant and not found:
            # Then it should not be in the list.
            differing += 1
            print("%s: meant to differ, and does not any more" % (name,))
    print("asked %d times, %d differ" % (asked, differing))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
