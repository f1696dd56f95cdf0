"""The web half of the package, with nothing compiled: `python3 -m unittest discover` in this folder."""

import io
import os
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

import stub  # noqa: E402
from handwound import _twisted  # noqa: E402
from handwound.internet import defer, error as internet_error  # noqa: E402
from handwound.python.failure import Failure  # noqa: E402
from handwound.python.urlpath import URLPath  # noqa: E402
from handwound.web import _form, http, pages, resource, script, server, static, util, vhost, wsgi  # noqa: E402
from handwound.web.http_headers import Headers, InvalidHeaderName  # noqa: E402


def request(*arguments, site=None, **more):
    exchange = stub.Exchange(*arguments, **more)
    made = server.Request(exchange, False)
    made.site, made.sitepath = site or server.Site(resource.Resource(), reactor=stub.Reactor()), []
    return made, exchange


def serve(root, *arguments, **more):
    exchange = stub.Exchange(*arguments, **more)
    site = root if isinstance(root, server.Site) else server.Site(root, reactor=stub.Reactor())
    server._serve(site, exchange)
    return exchange


class Answers(resource.Resource):
    isLeaf = True

    def __init__(self, render):
        super().__init__()
        self.render_GET = render


class HeadersTest(unittest.TestCase):
    def test_names_have_no_case_and_values_have_the_type_of_the_question(self):
        headers = Headers({b"x-one": [b"1"]})
        headers.addRawHeader("X-ONE", "zwei\N{SNOWMAN}")
        self.assertEqual(headers.getRawHeaders("X-One"), ["1", "zwei\N{SNOWMAN}"])
        self.assertEqual(headers.getRawHeaders(b"x-ONE")[0], b"1")
        self.assertEqual((headers.getRawHeaders("a"), headers.getRawHeaders("a", 7)), (None, 7))
        copy = headers.copy()
        headers.removeHeader("x-one")
        self.assertTrue(copy.hasHeader(b"x-one") and not headers.hasHeader(b"x-one"))

    def test_a_value_cannot_be_two_fields(self):
        headers = Headers()
        headers.setRawHeaders(b"www-authenticate", [b"a\r\nSet-Cookie: b", b"\nc "])
        self.assertEqual(list(headers.getAllRawHeaders()), [(b"WWW-Authenticate", [b"a Set-Cookie: b", b"c"])])

    def test_what_is_no_header_is_refused(self):
        for call in (
            lambda: Headers({"a b": ["c"]}),
            lambda: Headers().addRawHeader("", "c"),
            lambda: Headers().setRawHeaders("a\nb", ["c"]),
        ):
            self.assertRaises(InvalidHeaderName, call)
        self.assertRaises(TypeError, Headers().setRawHeaders, "a", "text")
        self.assertRaises(TypeError, Headers().setRawHeaders, "a", [1])
        self.assertRaises(TypeError, Headers().addRawHeader, 1, "a")


class FormsTest(unittest.TestCase):
    def test_query_strings(self):
        self.assertEqual(http.parse_qs(b"a=1;a=2&b=%41+%zz&c=&d"), {b"a": [b"1", b"2"], b"b": [b"A %zz"]})
        self.assertEqual(http.parse_qs(b"c=&d&", True), {b"c": [b""]})
        self.assertRaises(ValueError, http.parse_qs, b"d", False, True)

    def test_dates(self):
        self.assertEqual(http.datetimeToString(10**9), b"Sun, 09 Sep 2001 01:46:40 GMT")
        for text in (b"Sun, 09 Sep 2001 01:46:40 GMT", b"Sunday, 09-Sep-01 01:46:40 GMT", b"Sun Sep  9 01:46:40 2001"):
            self.assertEqual(http.stringToDatetime(text), 10**9)
        self.assertRaises(ValueError, http.stringToDatetime, b"yesterday")

    def multipart(self, body, boundary=b"xx"):
        return _form.arguments(b'multipart/form-data; boundary="' + boundary + b'"', body)

    def test_multipart_bodies(self):
        part = b'--xx\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
        body = part % (b"a", b"", b"1\r\n\r\n--x") + part % (b"a", b'; filename="n"\r\nX: y', b"\0\r\n") + b"--xx--\r\n"
        self.assertEqual(self.multipart(body), {b"a": [b"1\r\n\r\n--x", b"\0\r\n"]})
        self.assertEqual(self.multipart(part % (b'q\\"r%22', b"", b"") + b"--xx--"), {b'q"r"': [b""]})
        self.assertEqual(self.multipart(b"before\r\n" + part % (b"a", b"", b"b") + b"--xx--after"), {b"a": [b"b"]})

    def test_bodies_that_are_no_form(self):
        for body in (b"", b"garbage", b"--xx", b"--xx--", b"--xx\r\n\r\nx", b"--xxy\r\n\r\nx\r\n--xx--", b"--xx\r\nno head\r\n--xx--"):
            self.assertRaises(_form.BadForm, self.multipart, body)
        self.assertRaises(_form.BadForm, _form.arguments, b"multipart/form-data", b"")
        self.assertEqual(_form.arguments(b"text/plain", b"a=b"), {})


class RequestTest(unittest.TestCase):
    def test_bodies_are_files(self):
        body = bytes(range(256)) * 5000
        for large in (body, body * 2):
            made, _ = request(b"/", b"POST", body=large)
            self.assertEqual(made.content.read(10), large[:10])
            self.assertEqual((made.content.seek(-5, io.SEEK_END), made.content.read()), (len(large) - 5, large[-5:]))
            made.content.seek(0)
            self.assertEqual(made.content.read(), large)

    def test_basic_credentials(self):
        def given(text):
            made, _ = request(headers=[(b"Authorization", text)])
            return made.getUser(), made.getPassword()

        self.assertEqual(given(b"basic dTpwOng="), (b"u", b"p:x"))
        for text in (b"Basic dQ==", b"Basic \xff", b"Bearer dTpw", b"Basic"):
            self.assertEqual(given(text), (b"", b""))

    def test_cookies_cannot_be_two(self):
        made, _ = request()
        made.addCookie("a;b", "c\r\nd", path="/;x", max_age=3)
        self.assertEqual(made.cookies, [b"a b=c d; Path=/ x; Max-Age=3"])
        self.assertRaises(ValueError, made.addCookie, "a", "b", sameSite="often")
        self.assertRaises(ValueError, made.addCookie, "a", "b", sameSite="none")
        made.addCookie("a", "b", sameSite="None", secure=True)

    def test_links(self):
        made, _ = request(b"/a/b%20c?d")
        made.prepath, made.postpath = [b"a", b"b c"], []
        self.assertEqual(made.prePathURL(), b"http://example.com:8080/a/b%20c")
        self.assertEqual(str(made.URLPath().sibling("x y")), "http://example.com:8080/a/x%20y")
        made.setHost(b"other.example", 443, ssl=True)
        self.assertEqual((made.prePathURL(), made.isSecure()), (b"https://other.example/a/b%20c", True))
        self.assertEqual((made.getHost().port, made.getRequestHostname()), (443, b"other.example"))

    def test_wrong_values_are_refused_at_once(self):
        made, exchange = request()
        self.assertRaises(TypeError, made.write, "text")
        self.assertRaises(TypeError, made.setResponseCode, "200")
        self.assertRaises(TypeError, made.setResponseCode, 200, "OK")
        made.finish()
        self.assertRaises(RuntimeError, made.write, b"late")
        self.assertRaises(RuntimeError, made.finish)
        self.assertEqual((exchange.head[0], exchange.body, exchange.ended), (200, b"", "finished"))

    def test_notify_finish_tells_of_the_end(self):
        made, exchange = request()
        told = []
        made.notifyFinish().addBoth(told.append)
        made.finish()
        self.assertEqual(told, [])
        exchange.settle()
        exchange.leave()
        self.assertEqual(told, [None])

    def test_notify_finish_tells_of_a_client_that_left(self):
        made, exchange = request()
        told = []
        made.notifyFinish().addBoth(told.append)
        exchange.leave()
        exchange.settle()
        self.assertIs(told[0].check(internet_error.ConnectionLost), internet_error.ConnectionLost)
        made.write(b"into the void")
        self.assertRaises(RuntimeError, made.finish)

    def test_no_body_where_none_belongs(self):
        for method, code in ((b"HEAD", 200), (b"GET", 204), (b"GET", 304)):
            made, exchange = request(method=method)
            made.setResponseCode(code)
            made.write(b"body")
            made.finish()
            self.assertEqual((exchange.body, exchange.head[0]), (b"", code))


class TreeTest(unittest.TestCase):
    def test_a_path_leads_to_a_resource(self):
        root, inner = resource.Resource(), resource.Resource()
        root.putChild(b"a b", inner)
        seen = []
        inner.putChild(b"", Answers(lambda request: seen.append((request.prepath, request.postpath)) or b"x"))
        self.assertEqual(serve(root, b"/a%20b/").head[0], 200)
        self.assertEqual(seen, [([b"a b", b""], [])])
        self.assertEqual([serve(root, target).head[0] for target in (b"/a%20b/c", b"/a%20b", b"/x")], [404, 405, 404])
        self.assertRaises(TypeError, root.putChild, "text", inner)

    def test_what_is_raised_is_logged_and_a_500(self):
        def raises(request):
            request.setHeader(b"x-half", b"done")
            raise ValueError("<in render>")

        exchange = serve(Answers(raises))
        self.assertEqual((exchange.head[0], exchange.field(b"x-half")), (500, []))
        self.assertNotIn(b"in render", exchange.body)
        self.assertIn("ValueError: <in render>", stub.LOG[-1])
        self.assertNotIn("_request.py", stub.LOG[-1])
        site = server.Site(Answers(raises), reactor=stub.Reactor())
        site.displayTracebacks = True
        self.assertIn(b"ValueError: &lt;in render&gt;", serve(site).body)

    def test_what_is_raised_in_the_middle_cuts_the_response(self):
        def raises(request):
            request.write(b"half")
            raise ValueError("late")

        exchange = serve(Answers(raises))
        self.assertEqual((exchange.head[0], exchange.body), (200, b"half"))
        self.assertIn("ValueError: late", exchange.ended)

    def test_a_body_that_is_no_bytes_is_a_500(self):
        for value in ("text", None, 7, True, [b"x"]):
            exchange = serve(Answers(lambda request: value))
            self.assertEqual(exchange.head[0], 500)
            self.assertIn("a body is bytes, or NOT_DONE_YET", stub.LOG[-1])

    def test_methods(self):
        allowed = resource.Resource()
        allowed.isLeaf, allowed.render_PUT = True, lambda request: b"put"
        exchange = serve(allowed, method=b"POST")
        self.assertEqual((exchange.head[0], exchange.field(b"allow")), (405, [b"PUT"]))
        self.assertEqual([serve(allowed, method=m).head[0] for m in (b"PUT", b"HEAD", b"BREW")], [200, 405, 501])

    def test_bad_and_large_forms(self):
        kind = [(b"Content-Type", b"multipart/form-data; boundary=x")]
        post = Answers(lambda request: b"")
        post.render_POST = lambda request: repr(request.args).encode()
        self.assertEqual(serve(post, b"/", b"POST", kind, b"garbage").head[0], 400)
        site = server.Site(post, reactor=stub.Reactor(), parsePOSTFormSubmission=False)
        self.assertEqual(serve(site, b"/?q=1", b"POST", kind, b"garbage").body, b"{b'q': [b'1']}")

    def test_hosts(self):
        root = vhost.NameVirtualHost()
        root.addHost(b"A.example", Answers(lambda request: b"a"))

        def answer(host):
            # The last field counts; the stub has one of its own.
            exchange = serve(root, headers=[(b"Host", host)])
            return exchange.head[0], exchange.body

        self.assertEqual(answer(b"a.EXAMPLE:80"), (200, b"a"))
        self.assertEqual(answer(b"b.example")[0], 404)
        root.default = Answers(lambda request: b"default")
        self.assertEqual(answer(b"b.example"), (200, b"default"))
        root.removeHost(b"a.EXAMPLE")
        self.assertRaises(KeyError, root.removeHost, b"a.example")

    def test_applications_are_handed_over(self):
        def application(environ, start_response):
            return []

        root = resource.Resource()
        root.putChild(b"app", wsgi.WSGIResource(None, "pool", application))
        exchange = serve(root, b"/app//x")
        native, *rest = exchange.handed
        self.assertEqual(rest, ["pool", 1, b"/app", b"//x", []])
        self.assertIn("application", native.name)
        self.assertRaises(TypeError, wsgi.WSGIResource, None, None, "no application")
        self.assertIsNone(server._only_application(server.Site(root, reactor=stub.Reactor())))
        only = server.Site(wsgi.WSGIResource(None, "pool", application), reactor=stub.Reactor())
        self.assertEqual(server._only_application(only)[1], "pool")
        self.assertRaises(TypeError, server._site_of, root)

    def test_pages_escape_what_they_are_given(self):
        self.assertIn(b"&lt;b&gt;", serve(pages.notFound("<b>")).body)
        exchange = serve(util.Redirect(b'/"><script>'))
        self.assertNotIn(b"<script>", exchange.body)
        self.assertEqual(exchange.field(b"location"), [b'/"><script>'])
        self.assertRaises(TypeError, util.redirectTo, "/text", None)

    def test_sessions_expire(self):
        site = server.Site(Answers(lambda request: request.getSession().uid), reactor=stub.Reactor())
        first = serve(site)
        again = serve(site, headers=[(b"Cookie", b"TWISTED_SESSION=" + first.body)])
        self.assertEqual((again.body, again.field(b"set-cookie")), (first.body, []))
        expired = []
        site.getSession(first.body).notifyOnExpire(lambda: expired.append(True))
        site.reactor.delayed[0][1].call()
        self.assertEqual((expired, site.sessions), ([True], {}))
        self.assertNotEqual(serve(site, headers=[(b"Cookie", b"TWISTED_SESSION=" + first.body)]).body, first.body)


class FilesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.put("a.txt", "text")

    def put(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def test_files_are_the_servers_to_send(self):
        root = static.File(self.folder)
        self.assertEqual(serve(root, b"/a.txt").handed, ("file", self.folder + "/a.txt", "text/plain", []))
        self.assertEqual(serve(root, b"/").handed, ("listing", self.folder, []))
        for target in (b"/..", b"/../x", b"/%2e%2e/x", b"/..%2fx", b"/none", b"/a.txt/", b"/a.txt/x", b"/."):
            self.assertEqual(serve(root, target).head[0], 404, target)

    def test_settings_hold_below(self):
        self.put("sub/b.html", "")
        root = static.File(self.folder, "text/x-default")
        root.ignoreExt(".html")
        root.indexNames = ["b.html"]
        root.childNotFound = resource.NoResource("gone")
        self.assertEqual(serve(root, b"/sub/b").handed[1:3], (self.folder + "/sub/b.html", "text/html"))
        self.assertEqual(serve(root, b"/sub/").handed[1], self.folder + "/sub/b.html")
        self.assertIn(b"gone", serve(root, b"/sub/x").body)

    def test_a_folder_leads_to_its_slash_and_never_to_another_host(self):
        self.put("sub/b.html", "")
        exchange = serve(static.File(self.folder), b"/sub?x")
        self.assertEqual((exchange.head[0], exchange.field(b"location")), (302, [b"/sub/?x"]))
        made, _ = request(b"//evil.example/..")
        self.assertEqual(static.addSlash(made), b"/evil.example/../")

    def test_types(self):
        def of(name):
            return static.getTypeAndEncoding(name, static.File.contentTypes, static.File.contentEncodings, "x/y")

        self.assertEqual((of("a.HTML"), of("a.html.gz")), (("text/html", None), ("text/html", "gzip")))
        self.assertEqual((of("README"), of("a.gz")), (("x/y", None), ("x/y", "gzip")))

    def test_kept_scripts_follow_their_file(self):
        path = self.put("a.rpy", "from handwound.web.static import Data\ncache()\nresource = Data(b'1', 'x/y')")
        registry = static.Registry()
        first = script.ResourceScript(path, registry)
        self.assertIs(script.ResourceScript(path, registry), first)
        os.utime(path, (1, 1))
        self.assertIsNot(script.ResourceScript(path, registry), first)

    def test_workers_that_run_a_script_first_keep_one_resource(self):
        path = self.put("b.rpy", "from handwound.web.static import Data\ncache()\nregistry.go_on()\nresource = Data(b'1', 'x/y')")
        begun, asked, made = threading.Event(), threading.Event(), []

        class Meeting(static.Registry):
            def getCachedPath(self, path):
                kept = super().getCachedPath(path)
                # The second worker has found nothing, and the first keeps something now.
                (asked if begun.is_set() else begun).set()
                return kept

            def go_on(self):
                asked.wait(20)

        registry = Meeting()
        workers = [threading.Thread(target=lambda: made.append(script.ResourceScript(path, registry))) for _ in range(2)]
        for worker in workers:
            worker.start()
            begun.wait(20)
        for worker in workers:
            worker.join()
        self.assertIs(made[0], made[1])
        self.assertIs(type(made[0]), static.Data)


class NamesTest(unittest.TestCase):
    def test_all_modules_stand_in_for_twisteds(self):
        ours = set()
        for package in ("internet", "python", "web"):
            folder = os.path.join(os.path.dirname(_twisted.__file__), package)
            names = {os.path.splitext(name)[0] for name in os.listdir(folder) if name.endswith(".py")}
            ours |= {"twisted.%s.%s" % (package, name) for name in names if not name.startswith("_")}
        self.assertEqual(ours - set(_twisted._MODULES), set())


class ResultsTest(unittest.TestCase):
    def test_callbacks_are_a_chain(self):
        said = []
        deferred = defer.Deferred()
        deferred.addCallback(lambda value: value + 1).addCallback(lambda value: 1 / 0).addErrback(
            lambda failure: failure.trap(ZeroDivisionError) and "caught"
        ).addBoth(said.append)
        deferred.callback(1)
        self.assertEqual(said, ["caught"])
        self.assertRaises(defer.AlreadyCalledError, deferred.callback, 2)

    def test_a_result_may_be_waited_for_in_between(self):
        inner, said = defer.Deferred(), []
        defer.succeed(1).addCallback(lambda _: inner).addCallback(said.append)
        self.assertEqual(said, [])
        inner.callback("inner")
        self.assertEqual(said, ["inner"])
        defer.fail(KeyError("a")).addErrback(lambda failure: said.append(failure.value.args))
        self.assertEqual(said[1:], [("a",)])

    def test_a_cancelled_result_is_a_failure_and_nobody_else_hears_of_it(self):
        deferred, said = defer.Deferred(), []
        deferred.addErrback(lambda failure: said.append(failure.type))
        deferred.cancel()
        deferred.callback(1)
        self.assertEqual(said, [defer.CancelledError])

    def test_a_failure_keeps_its_exception(self):
        try:
            raise KeyError("a")
        except KeyError as error:
            failure = Failure()
            self.assertIs(failure.value, error)
        self.assertIn("KeyError: 'a'", failure.getTraceback())
        self.assertIs(failure.check("builtins.LookupError", KeyError), "builtins.LookupError")
        self.assertIsNone(failure.check(OSError))
        self.assertRaises(KeyError, failure.trap, OSError)
        self.assertRaises(ValueError, Failure)

    def test_urls(self):
        url = URLPath.fromString("http://a/b/c?d#e")
        self.assertEqual([str(u) for u in (url.child("x"), url.sibling("x"), url.here(), url.parent())],
                         ["http://a/b/c/x", "http://a/b/x", "http://a/b/", "http://a/"])
        self.assertEqual(str(url.click("../y")), "http://a/y")


if __name__ == "__main__":
    unittest.main()
