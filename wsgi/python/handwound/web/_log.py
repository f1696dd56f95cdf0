"""What the log says of exceptions and values."""

from __future__ import annotations

import os
import traceback
from typing import Any

__all__ = ["short", "told"]

_HERE = os.path.dirname(__file__)


def told(reason: Any) -> str:
    """What the log says of an exception: its traceback, without what of this package led to the resource."""
    error = getattr(reason, "value", None)
    if not isinstance(error, BaseException):
        return str(reason)
    tb = whole = error.__traceback__
    while tb is not None and os.path.dirname(tb.tb_frame.f_code.co_filename) == _HERE:
        tb = tb.tb_next
    return "".join(traceback.format_exception(type(error), error, tb or whole)).rstrip()


def short(value: Any) -> str:
    """What is shown of a value that may be long."""
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
