#!/usr/bin/env python3
"""Starts a server that is a library and no command: serve.py KIND PORT THREADS, on 127.0.0.1."""

import sys

from apps import app


def bjoern(port, threads):
    import bjoern

    bjoern.run(app, "127.0.0.1", port)


def freastal(port, threads):
    import freastal

    freastal.serve(app, host="127.0.0.1", port=port)


def cheroot(port, threads):
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", port), app, numthreads=threads, max=threads, request_queue_size=1024)
    server.start()


def twisted(port, threads):
    from twisted.internet import reactor
    from twisted.python.threadpool import ThreadPool
    from twisted.web.server import Site
    from twisted.web.wsgi import WSGIResource

    pool = ThreadPool(threads, threads)
    pool.start()
    reactor.addSystemEventTrigger("during", "shutdown", pool.stop)
    reactor.listenTCP(port, Site(WSGIResource(reactor, pool, app)), backlog=1024, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    kinds = {"bjoern": bjoern, "freastal": freastal, "cheroot": cheroot, "twisted": twisted}
    kinds[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
