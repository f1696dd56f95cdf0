"""How a test is to be searched."""

import importlib.util
import os
import sys
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, List, Optional, Sequence, Union

SEARCHES = ("random", "pct", "bounded", "all", "answers")
NETWORKS = ("calm", "rough")
PREEMPT = ("gates", "gil", "opcode")


def is_there(name: str) -> bool:
    """Whether a name is that of a module, a package or a file."""
    if name.endswith(".py"):
        return os.path.exists(name)
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


@dataclass
class Options:
    """What :func:`handwound.testing.simulate` was told, checked."""

    app: Optional[Callable[..., Any]] = None
    workers: int = 2
    seeds: Union[int, Iterable[int]] = 100
    search: str = "random"
    depth: int = 3
    preempt: str = "gil"
    network: str = "calm"
    watch: Sequence[str] = ()
    setup: Optional[Callable[[], Any]] = None
    rewind: Sequence[Any] = ()
    runs_max: int = 200_000
    shrink_runs_max: int = 500
    twice: bool = False
    watchdog: float = 30.0
    replay: Optional[str] = None
    given: List[int] = field(default_factory=list)

    def check(self) -> None:
        if self.app is not None and not callable(self.app):
            raise TypeError("app has to be a WSGI application, which can be called, not %r" % (self.app,))
        if not isinstance(self.workers, int) or not 1 <= self.workers <= 1000:
            raise ValueError("workers has to be a number from 1 to 1000, not %r" % (self.workers,))
        if self.search not in SEARCHES:
            raise ValueError("search has to be one of %s, not %r" % (", ".join(SEARCHES), self.search))
        if self.preempt not in PREEMPT:
            raise ValueError("preempt has to be one of %s, not %r" % (", ".join(PREEMPT), self.preempt))
        if self.network not in NETWORKS:
            raise ValueError("network has to be one of %s, not %r" % (", ".join(NETWORKS), self.network))
        for name, least in (("depth", 0), ("runs_max", 1), ("shrink_runs_max", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value < 1 << 32:
                raise ValueError("%s has to be a number from %d on, not %r" % (name, least, value))
        if not isinstance(self.watchdog, (int, float)) or not self.watchdog > 0:
            raise ValueError("watchdog has to be a number of seconds, not %r" % (self.watchdog,))
        if self.setup is not None and not callable(self.setup):
            raise TypeError("setup has to be a function, not %r" % (self.setup,))
        if isinstance(self.watch, str):
            raise TypeError("watch has to be a list of names of modules or files, not the string %r" % (self.watch,))
        for name in self.watch:
            if not is_there(name):
                raise ValueError("watch names %r, which is no module that can be imported, and no file" % (name,))
        if self.search == "pct" and self.depth < 1:
            raise ValueError("depth has to be at least 1 with search='pct', not %r" % (self.depth,))
        if isinstance(self.seeds, str):
            raise TypeError("seeds has to be a number or a list of numbers, not the string %r" % (self.seeds,))
        self.given = list(range(self.seeds)) if isinstance(self.seeds, int) else [int(seed) for seed in self.seeds]
        if not self.given:
            raise ValueError("seeds has to be at least one: a test without runs cannot fail")
        if not all(0 <= seed < 1 << 64 for seed in self.given):
            raise ValueError("a seed has to be a number from 0 to 2 ** 64 - 1, not one of %r" % (self.seeds,))

    def override(self) -> None:
        """What the environment says goes before what the test says."""
        replay, seed = os.environ.get("HANDWOUND_REPLAY"), os.environ.get("HANDWOUND_SEED")
        if replay:
            self.replay = replay
        elif seed:
            try:
                self.given = [int(seed)]
            except ValueError:
                raise ValueError("HANDWOUND_SEED has to be a number, not %r" % (seed,)) from None
        if os.environ.get("HANDWOUND_TWICE", "0") not in ("", "0"):
            self.twice = True
