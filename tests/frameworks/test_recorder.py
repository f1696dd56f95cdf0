"""A checker that finds nothing may be deaf: these applications and servers break PEP 3333, and that must be noted."""

import unittest

import recorder
from recorder import recorded
from webtest import lint


def ask(application, path, **changes):
    """What the application answers to a request that is right but for `changes`."""
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
    environ.update(SERVER_NAME="localhost", SERVER_PORT="80", SERVER_PROTOCOL="HTTP/1.1")
    environ.update({"wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.multithread": True})
    environ.update({"wsgi.multiprocess": False, "wsgi.run_once": False, "wsgi.file_wrapper": lambda file: file})
    environ.update({"wsgi.input": open("/dev/null", "rb"), "wsgi.errors": open("/dev/null", "w")})
    environ.update(changes)
    answer = application(environ, lambda status, headers, exc_info=None: None)
    try:
        return list(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()


class Noted(unittest.TestCase):
    def setUp(self):
        recorder.problems.clear()

    def noted(self, body, part, **changes):
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return body

        application = recorded(lint.middleware(application))
        try:
            ask(application, "/", **changes)
        except AssertionError:
            pass
        # As the checks ask for it.
        self.assertIn(part, ask(application, "/problems")[0].decode())

    def test_nothing(self):
        self.noted([b"bytes"], "[]")

    def test_a_server_that_sends_a_header_twice(self):
        self.noted([b"bytes"], "HTTP_CONTENT_TYPE", HTTP_CONTENT_TYPE="text/plain")

    def test_a_server_that_sends_no_string(self):
        self.noted([b"bytes"], "SERVER_PORT", SERVER_PORT=80)

    def test_an_application_with_str(self):
        self.noted(["str"], "returned a non")


if __name__ == "__main__":
    unittest.main()
