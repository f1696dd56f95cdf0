#!/usr/bin/env python3
"""What we accept, h11 and llhttp frame the same way: replays the corpora through both.

    pip install h11 llhttp
    cargo run --manifest-path fuzz/Cargo.toml --example accepted | python3 fuzz/replay.py

They are too slow, or too much trouble to build, for a fuzz target's loop. Known differences are in QUIRKS, each with its
reason; any other is an error. That a peer refuses what we accept is none: it is stricter. Peers that are not installed
are named and skipped.
"""

import collections
import json
import sys

try:
    import h11
except ImportError:
    h11 = None
try:
    import llhttp
except ImportError:
    llhttp = None

Request = collections.namedtuple("Request", "method target is_11 fields body")


def fields_of(pairs):
    """In the order of names, in lower case; the order of fields of one name is kept."""
    return sorted(((name.lower(), value) for name, value in pairs), key=lambda field: field[0])


def ours(line):
    data = json.loads(line)
    raw = bytes.fromhex
    requests = [
        Request(
            raw(one["method"]),
            raw(one["target"]),
            one["is_11"],
            fields_of((raw(name), raw(value)) for name, value in one["fields"]),
            raw(one["body"]),
        )
        for one in data["requests"]
    ]
    return raw(data["stream"]), requests


def h11_view(stream):
    """The complete requests, and whether the rest is refused."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(stream)
    requests = []
    head, body = None, b""
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                return requests, False
            if event is h11.PAUSED:
                if connection.our_state is h11.MUST_CLOSE or connection.their_state is h11.MIGHT_SWITCH_PROTOCOL:
                    return requests, True
                connection.start_next_cycle()
            elif isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                is_11 = head.http_version == b"1.1"
                requests.append(Request(head.method, head.target, is_11, fields_of(head.headers), body))
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return requests, True
                connection.start_next_cycle()
            else:
                return requests, True
    except h11.RemoteProtocolError:
        return requests, True


def llhttp_view(stream):
    requests = []
    seen = collections.defaultdict(bytes)
    fields = []

    class Parser(llhttp.Request):
        def on_message_begin(self):
            seen.clear()
            fields.clear()
            seen["head"] = b"yes"

        def on_method(self, data):
            seen["method"] += data

        def on_url(self, data):
            seen["target"] += data

        def on_header_field(self, data):
            if "value" in seen or not fields:
                fields.append([b"", b""])
                seen.pop("value", None)
            fields[-1][0] += data

        def on_header_value(self, data):
            seen["value"] = b"yes"
            fields[-1][1] += data

        def on_header_value_complete(self):
            seen["value"] = b"yes"

        def on_headers_complete(self):
            # What comes later are trailers.
            seen["fields"] = len(fields)

        def on_body(self, data):
            seen["body"] += data

        def on_message_complete(self):
            own = fields[: seen["fields"]]
            is_11 = (self.major, self.minor) == (1, 1)
            pairs = fields_of((name, value.rstrip(b" \t")) for name, value in own)
            requests.append(Request(seen["method"], seen["target"], is_11, pairs, seen["body"]))

    parser = Parser()
    try:
        parser.execute(stream)
        return requests, bool(parser.is_busted)
    except llhttp.Error:
        return requests, True


def is_absolute(request):
    return not request.target.startswith((b"/", b"*"))


def difference(mine, view):
    """The first request that a peer frames otherwise, and what differs."""
    requests, refuses = view
    for index, one in enumerate(mine):
        if index >= len(requests):
            return None if refuses else (one, None, "waits")
        other = requests[index]
        for name in Request._fields:
            a, b = getattr(one, name), getattr(other, name)
            if name == "fields" and is_absolute(one):
                # An absolute target's host takes the place of the Host field.
                a, b = ([field for field in fields if field[0] != b"host"] for fields in (a, b))
            if a != b:
                return one, other, name
    return None


Quirk = collections.namedtuple("Quirk", "name peer what why covers")
QUIRKS = []


def main():
    peers = {"h11": h11 and h11_view, "llhttp": llhttp and llhttp_view}
    for name in [name for name, view in peers.items() if not view]:
        print(f"SKIPPED {name}: not installed (pip install {name})")
        del peers[name]
    count, stricter, known, failures = 0, collections.Counter(), collections.Counter(), 0
    for line in sys.stdin:
        stream, mine = ours(line)
        count += bool(mine)
        for name, look in peers.items() if mine else ():
            view = look(stream)
            found = difference(mine, view)
            if not found:
                stricter[name] += len(view[0]) < len(mine)
                continue
            one, other, what = found
            quirk = next((q for q in QUIRKS if (q.peer, q.what) == (name, what) and q.covers(one, other)), None)
            if quirk:
                known[f"{name} {quirk.name}"] += 1
                continue
            failures += 1
            print(f"{name} differs, {what}, on {stream!r}\n  we have {one}\n  it has {other}")
    print(f"{count} streams with requests that we accept; refused by {dict(stricter)}; known quirks: {dict(known)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
