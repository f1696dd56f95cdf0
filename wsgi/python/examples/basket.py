"""A shop's basket, in plain PEP 3333: what `basket.rs` beside it puts into a simulation."""

try:
    # In a simulation, the simulation's clock: other requests go on meanwhile.
    from handwound.testing import sleep
except ImportError:
    from time import sleep

baskets = {}
opened = closed = 0


class Receipt:
    """A long answer, made piece by piece. Whoever iterates has to call close(), also when the client leaves."""

    def __init__(self, lines):
        global opened
        opened += 1
        self.lines = lines

    def __iter__(self):
        for number in range(self.lines):
            yield b'%05d one more thing\n' % number

    def close(self):
        global closed
        closed += 1


def application(environ, start_response):
    path, who = environ['PATH_INFO'], environ['QUERY_STRING']
    plain = [('Content-Type', 'text/plain')]
    if path == '/add':
        baskets[who] = baskets.get(who, 0) + 1
        start_response('200 OK', plain)
        return [b'%d in the basket of %s' % (baskets[who], who.encode())]
    if path == '/add-slowly':
        # A defect to be found: between reading and writing another request may have its turn.
        count = baskets.get(who, 0)
        sleep(0.2)
        baskets[who] = count + 1
        start_response('200 OK', plain)
        return [b'%d in the basket of %s' % (baskets[who], who.encode())]
    if path == '/receipt':
        start_response('200 OK', plain)
        return Receipt(50_000)
    if path == '/receipts':
        start_response('200 OK', plain)
        return [b'%d opened, %d closed' % (opened, closed)]
    start_response('404 Not Found', plain)
    return [b'/add?WHO, /receipt or /receipts']
