"""The reactor that programs use: ``from handwound.internet import reactor``.

It is a `handwound.internet.base.Reactor`, and takes this module's place. In a program that the command ``handwound web``
serves, it stands for the command's own event loop and pool.
"""

from __future__ import annotations

import sys

from handwound import _native
from handwound.internet._command import CommandReactor
from handwound.internet.base import Reactor


def _default() -> Reactor:
    loop = _native.EventLoop.of_command()
    return Reactor() if loop is None else CommandReactor(loop)


sys.modules[__name__] = _default()  # type: ignore[assignment]
