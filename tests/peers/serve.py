#!/usr/bin/env python3
"""Starts a server that is a library and no command: serve.py KIND PORT THREADS MODULE [options], on 127.0.0.1."""

import argparse
import importlib

IDLE_SECONDS = 600


def bjoern(load, given):
    import bjoern

    bjoern.run(load(), "127.0.0.1", given.port)


def freastal(load, given):
    import freastal

    freastal.serve(load(), "127.0.0.1", given.port, workers=given.workers, certfile=given.cert, keyfile=given.key)


def fastwsgi(load, given):
    import fastwsgi

    fastwsgi.run(load(), host="127.0.0.1", port=given.port, loglevel=2)


def fastpysgi(load, given):
    import fastpysgi

    fastpysgi.run(load(), host="127.0.0.1", port=given.port, loglevel=2)


def cheroot(load, given):
    from cheroot.wsgi import Server

    more = {"timeout": IDLE_SECONDS} if given.idle else {}
    server = Server(
        ("127.0.0.1", given.port), load(), numthreads=given.threads, max=given.threads, request_queue_size=1024, **more
    )
    if given.idle:
        server.keep_alive_conn_limit = 60_000
    server.start()


def twisted(load, given):
    from twisted.internet import reactor
    from twisted.python.threadpool import ThreadPool
    from twisted.web.server import Site
    from twisted.web.wsgi import WSGIResource

    pool = ThreadPool(given.threads, given.threads)
    pool.start()
    reactor.addSystemEventTrigger("during", "shutdown", pool.stop)
    site = Site(WSGIResource(reactor, pool, load()))
    if given.idle:
        site.timeOut = IDLE_SECONDS
    reactor.listenTCP(given.port, site, backlog=1024, interface="127.0.0.1")
    reactor.run()


KINDS = (bjoern, cheroot, fastpysgi, fastwsgi, freastal, twisted)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=[kind.__name__ for kind in KINDS])
    parser.add_argument("port", type=int)
    parser.add_argument("threads", type=int, help="of those that have a pool")
    parser.add_argument("module", help="has the application as `app`")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--idle", action="store_true", help="keep very many idle connections for minutes")
    given = parser.parse_args()
    kind = next(kind for kind in KINDS if kind.__name__ == given.kind)
    # Loaded once the server itself is, as the commands do it.
    kind(lambda: importlib.import_module(given.module).app, given)


if __name__ == "__main__":
    main()
