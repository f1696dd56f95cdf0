"""One resource tree, built from whichever package is named: `twisted`, or `handwound`. What the two make of the same
requests is compared by `compare.py`.
"""

import importlib
import os

HERE = os.path.dirname(os.path.abspath(__file__))


def make(package):
    """The root of the tree, made with the classes of `package`."""

    def module(name):
        return importlib.import_module(package + "." + name)

    resource, server, static = module("web.resource"), module("web.server"), module("web.static")
    vhost, util, wsgi, http = module("web.vhost"), module("web.util"), module("web.wsgi"), module("web.http")
    from_internet = __import__(package + ".internet", fromlist=["reactor"])
    reactor = from_internet.reactor
    Resource = resource.Resource

    def shown(value):
        return repr(value).encode("ascii", "backslashreplace")

    class Show(Resource):
        """Says what a request looks like from a resource."""

        def __init__(self, leaf=True):
            Resource.__init__(self)
            self.isLeaf = leaf

        def render_GET(self, request):
            request.setHeader(b"content-type", b"text/plain")
            lines = [
                request.method,
                request.uri,
                request.path,
                shown(request.prepath),
                shown(request.postpath),
                shown(request.args),
                shown(request.getHeader(b"x-one")),
                shown(request.getHeader("X-ONE")),
                shown(request.requestHeaders.getRawHeaders(b"x-one")),
                shown(request.requestHeaders.getRawHeaders("x-one", "none")),
                shown(request.requestHeaders.hasHeader("x-two")),
                shown(request.getCookie(b"a")),
                shown(sorted(request.received_cookies.items())),
                shown(request.content.read()),
                shown(request.isSecure()),
                shown(request.getRequestHostname()),
                shown(request.clientproto),
                shown(request.getUser()),
                shown(request.getPassword()),
                shown(request.getClientAddress().host),
                shown(request.getHost().type),
                request.prePathURL().split(b"//")[1].split(b"/", 1)[-1],
                str(request.URLPath()).split("//")[1].split("/", 1)[-1].encode(),
                shown(request.isLeaf if hasattr(request, "isLeaf") else "request"),
            ]
            return b"\n".join(lines) + b"\n"

        def render_POST(self, request):
            return self.render_GET(request)

    class Families(Resource):
        isLeaf = True

        def render_GET(self, request):
            return b"got"

        def render_PUT(self, request):
            request.setResponseCode(201)
            return b"put " + request.content.read()

        def render_DELETE(self, request):
            request.setResponseCode(204)
            return b""

        def render_PURGE(self, request):
            request.setResponseCode(299, b"Swept")
            return b"swept"

    class OnlyPost(Resource):
        isLeaf = True

        def render_POST(self, request):
            return b"posted " + shown(sorted(request.args.items()))

    class OwnHead(Resource):
        isLeaf = True

        def render_GET(self, request):
            return b"got"

        def render_HEAD(self, request):
            request.setHeader(b"x-head", b"own")
            return b""

    class Nothing(Resource):
        isLeaf = True

    class Allowed(Resource):
        isLeaf = True
        allowedMethods = (b"PATCH", b"GET")

        def render_GET(self, request):
            return b"allowed"

    class AnyMethod(Resource):
        isLeaf = True

        def render(self, request):
            return b"any " + request.method

    class Dynamic(Resource):
        def getChild(self, path, request):
            if path == b"raise":
                raise ValueError("in getChild")
            if path == b"none":
                return resource.NoResource("nothing of that name")
            if path == b"forbidden":
                return resource.ForbiddenResource()
            if path == b"teapot":
                return resource.ErrorPage(418, "Teapot", "Short & stout")
            if path == b"":
                return self
            child = Dynamic()
            child.name = path
            return child

        name = b"top"

        def render_GET(self, request):
            return b"dynamic " + self.name + b" " + shown(request.prepath) + shown(request.postpath)

    class Raises(Resource):
        isLeaf = True

        def render_GET(self, request):
            raise RuntimeError("in render")

    class Returns(Resource):
        isLeaf = True

        def __init__(self, value):
            Resource.__init__(self)
            self.value = value

        def render_GET(self, request):
            return self.value

    class Later(Resource):
        isLeaf = True

        def render_GET(self, request):
            request.setHeader(b"content-type", b"text/plain")
            reactor.callLater(0.01, self.first, request)
            return server.NOT_DONE_YET

        def first(self, request):
            request.write(b"first ")
            reactor.callLater(0.01, self.second, request)

        def second(self, request):
            request.write(b"second")
            request.finish()

    class AtOnce(Resource):
        isLeaf = True

        def render_GET(self, request):
            request.write(b"at ")
            request.write(b"once")
            request.finish()
            return server.NOT_DONE_YET

    class FromThread(Resource):
        isLeaf = True

        def render_GET(self, request):
            def work():
                reactor.callFromThread(done)

            def done():
                request.setResponseCode(202)
                request.setHeader(b"content-length", b"4")
                request.write(b"done")
                request.finish()

            reactor.callInThread(work)
            return server.NOT_DONE_YET

    class Finished(Resource):
        """What `notifyFinish` told about earlier requests."""

        isLeaf = True
        seen = []

        def render_GET(self, request):
            if request.args.get(b"seen"):
                # Behind what was to be called for those requests.
                reactor.callFromThread(self.tell, request)
                return server.NOT_DONE_YET
            done = request.notifyFinish()
            done.addCallback(lambda value: self.seen.append(value))
            return b"noted"

        def tell(self, request):
            request.write(shown(self.seen))
            request.finish()

    class Cookies(Resource):
        isLeaf = True

        def render_GET(self, request):
            request.addCookie(b"plain", b"1")
            request.addCookie("text", "two", path="/", httpOnly=True, secure=True)
            request.addCookie(b"long", b"3", max_age=b"60", domain=b"example.com", sameSite="lax", comment=b"c")
            request.addCookie(b"old", b"", expires=b"Thu, 01 Jan 1970 00:00:00 GMT")
            return b"cookies"

    class Redirects(Resource):
        isLeaf = True

        def render_GET(self, request):
            target = request.args.get(b"to", [b"/show"])[0]
            if request.args.get(b"how") == [b"helper"]:
                return util.redirectTo(target, request)
            request.redirect(target)
            return b"moved"

    class Validators(Resource):
        isLeaf = True

        def render_GET(self, request):
            if request.setETag(b'"v1"') is http.CACHED or request.setLastModified(1000000000) is http.CACHED:
                return b""
            return b"fresh"

    class HeadersOut(Resource):
        isLeaf = True

        def render_GET(self, request):
            request.setHeader("X-Text", "text")
            request.setHeader(b"x-bytes", b"one")
            request.setHeader(b"X-Bytes", b"two")
            request.responseHeaders.addRawHeader(b"x-many", b"1")
            request.responseHeaders.addRawHeader("X-Many", "2")
            request.responseHeaders.setRawHeaders("x-gone", ["x"])
            request.responseHeaders.removeHeader(b"X-Gone")
            request.responseHeaders.setRawHeaders(b"content-type", [b"text/x-own"])
            return b"headers"

    class Split(Resource):
        isLeaf = True

        def render_GET(self, request):
            request.setHeader(b"x-line", b"a\r\nSet-Cookie: evil=1")
            return b"split"

    class Pulled(Resource):
        isLeaf = True

        def render_GET(self, request):
            pieces = [b"a" * 10, b"b" * 10, b"c" * 10]

            class Producer:
                def resumeProducing(self):
                    if pieces:
                        request.write(pieces.pop(0))
                    else:
                        request.unregisterProducer()
                        request.finish()

                def stopProducing(self):
                    pass

            request.registerProducer(Producer(), False)
            return server.NOT_DONE_YET

    class Pushed(Resource):
        isLeaf = True

        def render_GET(self, request):
            class Producer:
                def pauseProducing(self):
                    pass

                def resumeProducing(self):
                    pass

                def stopProducing(self):
                    pass

            def produce(left):
                if left:
                    request.write(b"%d " % left)
                    reactor.callLater(0, produce, left - 1)
                else:
                    request.unregisterProducer()
                    request.finish()

            request.registerProducer(Producer(), True)
            produce(5)
            return server.NOT_DONE_YET

    class Sessions(Resource):
        isLeaf = True

        def render_GET(self, request):
            session = request.getSession()
            session.names = getattr(session, "names", []) + request.args.get(b"name", [])
            return shown((session.names, session is request.getSession(), len(session.uid) > 20))

    class NoCache(static.File):
        def render_GET(self, request):
            request.setHeader(b"cache-control", b"no-store")
            return static.File.render_GET(self, request)

    class Unlisted(static.File):
        def directoryListing(self):
            return self.childNotFound

    class RewritingRoot(Resource):
        """The usual way to have children beside an application that takes all the rest."""

        def __init__(self, rest):
            Resource.__init__(self)
            self.rest = rest

        def getChild(self, path, request):
            request.prepath.pop()
            request.postpath.insert(0, path)
            return self.rest

    class WithHeaders(Resource):
        """Sets headers on the way to an application."""

        def __init__(self, child):
            Resource.__init__(self)
            self.child = child

        def getChild(self, path, request):
            request.setHeader(b"x-frame-options", b"DENY")
            request.addCookie(b"way", b"1")
            return self.child

    def application(environ, start_response):
        keys = ["SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "CONTENT_TYPE", "CONTENT_LENGTH"]
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-App", "yes")])
        return ["\n".join(environ[key] for key in keys).encode("latin-1") + b"\n" + body]

    def failing(environ, start_response):
        raise KeyError("in the application")

    def own_application(app=application):
        return wsgi.WSGIResource(reactor, reactor.getThreadPool(), app)

    hosts = vhost.NameVirtualHost()
    hosts.default = Returns(b"default host")
    hosts.addHost(b"a.example", Returns(b"host a"))
    host_b = Resource()
    host_b.putChild(b"", Returns(b"host b"))
    host_b.putChild(b"below", Show())
    hosts.addHost(b"b.example", host_b)
    lonely = vhost.NameVirtualHost()
    lonely.addHost(b"a.example", Returns(b"host a"))

    branch = Resource()
    branch.putChild(b"", Returns(b"the branch itself"))
    branch.putChild(b"leaf", Show())
    branch.putChild(b"inner", Show(leaf=False))
    branch.putChild(b"b c", Show())
    parent = Resource()
    parent.putChild(b"up", util.ParentRedirect())
    parent.putChild(b"", Returns(b"parent"))

    files = static.File(os.path.join(HERE, "files"))
    scripts = static.File(os.path.join(HERE, "scripts"))
    scripts.processors = {".rpy": module("web.script").ResourceScript}
    extensions = static.File(os.path.join(HERE, "files"))
    extensions.ignoreExt(".txt")
    missing = static.File(os.path.join(HERE, "files"))
    missing.childNotFound = resource.ErrorPage(404, "Gone", "It is not here.")
    mounted = static.File(os.path.join(HERE, "files"))
    mounted.putChild(b"put", Returns(b"put below a folder"))

    typed = static.File(os.path.join(HERE, "files"))
    typed.contentTypes = {".txt": "text/x-own"}

    root = Resource()
    root.putChild(b"pushed", Pushed())
    root.putChild(b"session", Sessions())
    root.putChild(b"nocache", NoCache(os.path.join(HERE, "files")))
    root.putChild(b"unlisted", Unlisted(os.path.join(HERE, "files")))
    root.putChild(b"typed", typed)
    root.putChild(b"", Returns(b"root"))
    root.putChild(b"show", Show())
    root.putChild(b"branch", branch)
    root.putChild(b"empty", Resource())
    root.putChild(b"families", Families())
    root.putChild(b"post", OnlyPost())
    root.putChild(b"head", OwnHead())
    root.putChild(b"nothing", Nothing())
    root.putChild(b"allowed", Allowed())
    root.putChild(b"any", AnyMethod())
    root.putChild(b"dynamic", Dynamic())
    root.putChild(b"raises", Raises())
    root.putChild(b"text", Returns("a str"))
    root.putChild(b"number", Returns(7))
    root.putChild(b"none", Returns(None))
    root.putChild(b"later", Later())
    root.putChild(b"atonce", AtOnce())
    root.putChild(b"thread", FromThread())
    root.putChild(b"finished", Finished())
    root.putChild(b"cookies", Cookies())
    root.putChild(b"redirects", Redirects())
    root.putChild(b"away", util.Redirect(b"/show?x=1"))
    root.putChild(b"parent", parent)
    root.putChild(b"validators", Validators())
    root.putChild(b"headers", HeadersOut())
    root.putChild(b"split", Split())
    root.putChild(b"pulled", Pulled())
    root.putChild(b"data", static.Data(b"<svg/>", "image/svg+xml"))
    root.putChild(b"hosts", hosts)
    root.putChild(b"lonely", lonely)
    root.putChild(b"files", files)
    root.putChild(b"scripts", scripts)
    root.putChild(b"extensions", extensions)
    root.putChild(b"missing", missing)
    root.putChild(b"mounted", mounted)
    root.putChild(b"app", own_application())
    root.putChild(b"failing", own_application(failing))
    root.putChild(b"rewriting", RewritingRoot(own_application()))
    root.putChild(b"guarded", WithHeaders(own_application()))
    app_branch = Resource()
    app_branch.putChild(b"", own_application())
    app_branch.putChild(b"b c", own_application())
    root.putChild(b"apps", app_branch)
    return root
