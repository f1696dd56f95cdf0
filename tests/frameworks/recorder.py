"""Notes what a checker between server and application raises, whoever else swallows it.

`recorded(checked)` is an application: `/problems` answers what was found so far, as a JSON list, so that a violation
during iteration, in close() or at garbage collection is seen too, and not only one that turns into an error page.
`/wrapped` answers how often the application used `wsgi.file_wrapper`.
"""

import gc
import json
import sys

problems = []
wrapped = 0


class Recording:
    """Notes a violation that passes through, and lets it pass."""

    def __init__(self, path, kinds):
        self.path, self.kinds = path, kinds

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None and issubclass(kind, self.kinds):
            problems.append(f"{self.path}: {value or kind.__name__}")


class Recorded:
    """The checker's iterable, one call for one call; notes what it raises."""

    def __init__(self, iterable, recording):
        self.iterable, self.recording = iterable, recording
        self.iterator = iter(iterable)

    def __iter__(self):
        return self

    def __next__(self):
        with self.recording:
            return next(self.iterator)

    def close(self):
        with self.recording:
            if hasattr(self.iterable, "close"):
                self.iterable.close()


def note_unraisable(what):
    # Checkers complain about an iterator without close() in __del__, where nobody can catch it.
    problems.append(f"at garbage collection: {what.exc_value!r}")


def count_wrapped(wrapper):
    def counted(*arguments):
        global wrapped
        wrapped += 1
        return wrapper(*arguments)

    return counted


def answer_json(start_response, value):
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def recorded(checked, kinds=AssertionError, more=lambda: []):
    """`checked` with a record of the exceptions of `kinds`; `more()` lists what else is wrong when asked."""
    sys.unraisablehook = note_unraisable

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/problems":
            gc.collect()
            return answer_json(start_response, problems + more())
        if environ["PATH_INFO"] == "/wrapped":
            return answer_json(start_response, wrapped)
        recording = Recording(environ["PATH_INFO"], kinds)
        environ["wsgi.file_wrapper"] = count_wrapped(environ["wsgi.file_wrapper"])
        with recording:
            return Recorded(checked(environ, start_response), recording)

    return application
