"""The applications again; importing this module notes the time, before anything else, for the scenario `start`."""

import os
import time

with open(os.environ["BENCH_STAMP"], "a") as stamps:
    stamps.write(f"{time.time()}\n")

from apps import app  # noqa: E402, F401
