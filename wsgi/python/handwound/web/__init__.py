"""HTTP for Python programs: resources, files, scripts, virtual hosts, sites, under the names that Twisted Web has.

A tree of resources is what a site serves::

    from handwound.internet import reactor
    from handwound.web.resource import Resource
    from handwound.web.server import Site

    class Hello(Resource):
        isLeaf = True

        def render_GET(self, request):
            return b"Hello, world!"

    reactor.listenTCP(8080, Site(Hello()))
    reactor.run()

Resources are asked on threads of the reactor's pool, several at the same time: what they share needs a lock. Calls of
the reactor (``callLater``, ``callFromThread``, what ``notifyFinish`` tells) run in order on one thread of their own.
"""
