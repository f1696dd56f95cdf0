"""What tests that have to fail say of themselves, for `run.py`."""


def reports(*texts):
    """Says what the report of a test has to say."""

    def mark(test):
        test.reports = texts
        return test

    return mark
