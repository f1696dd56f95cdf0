"""The decorator."""

import inspect
from typing import Any, Callable, Iterable, Optional, Sequence, Union

from handwound.testing import _child, _parent
from handwound.testing._options import Options

Test = Callable[..., Any]


def simulate(
    app: Optional[Callable[..., Any]] = None,
    *,
    workers: int = 2,
    seeds: Union[int, Iterable[int]] = 100,
    search: str = "random",
    depth: int = 3,
    preempt: str = "gil",
    network: str = "calm",
    watch: Sequence[str] = (),
    setup: Optional[Callable[[], Any]] = None,
    rewind: Sequence[Any] = (),
    runs_max: int = 200_000,
    shrink_runs_max: int = 500,
    twice: bool = False,
    watchdog: float = 30.0,
) -> Callable[[Test], Callable[..., None]]:
    """Makes a test of a function that takes a :class:`Sim`: it runs once for each of ``seeds``, in a simulation.

    ``app``
        The WSGI application to serve, at the root of a server with so many ``workers`` (threads). Without one there is
        no server: the test has threads of its own.
    ``seeds``
        How many runs, or which seeds.
    ``search``
        ``random``: threads and network by chance. ``pct``: threads by priorities that change ``depth - 1`` times.
        ``bounded``: every order with at most ``depth`` preemptions, fewest first. ``all``: every order. ``answers``:
        every answer to :meth:`Sim.choose`, nothing else. The last three have a calm network, and end at ``runs_max``.
    ``preempt``
        Where threads may be left in the middle. ``gates``: where they wait or let go of the interpreter by themselves.
        ``gil``: also where CPython of this version may change threads. ``opcode``: after any instruction, as Python
        without that lock may; what it finds cannot happen on a Python that has it.
    ``network``
        ``calm``: what is sent arrives at once and as a whole. ``rough``: bytes take their time, reads and writes come
        short, as each seed says.
    ``watch``
        Names of modules, packages or files in which to look for such places; at first those of the test and of ``app``,
        and whatever is not installed.
    ``setup``
        Called before each run, for what a test does not set up itself.
    ``rewind``
        Modules whose plain data (numbers, strings, lists, dicts and sets at their top level) are put back before each
        run, besides those of the test and of ``app``.
    ``shrink_runs_max``
        How many runs a failure may take to be made small.
    ``twice``
        Make every run twice, and compare all that happens.
    ``watchdog``
        Seconds of real time that a run may take before all stacks are shown and the test ends.

    In the environment, ``HANDWOUND_REPLAY`` stands for the run of that line, ``HANDWOUND_SEED`` for that seed, and
    ``HANDWOUND_TWICE=1`` for ``twice``. Calling the result raises :exc:`Failed` with a report, or
    :exc:`Unsupported` where there are no simulations.
    """
    options = Options(
        app, workers, seeds, search, depth, preempt, network, watch, setup, rewind, runs_max, shrink_runs_max, twice, watchdog
    )
    options.check()
    if inspect.isfunction(app) and app.__name__.startswith("test"):
        raise TypeError("%s was taken for an application: write @simulate() with parentheses" % app.__qualname__)

    def decorate(function: Test) -> Callable[..., None]:
        def test(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            if _child.is_here():
                _child.explore(function, options, args, kwargs)
            else:
                _parent.run(function, args, kwargs)

        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(test, name, getattr(function, name))
        test.__dict__.update(function.__dict__)
        # Of its parameters the first is ours; others are fixtures of pytest.
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        own = next((index for index, one in enumerate(parameters) if one.name != "self"), None)
        if own is None:
            raise TypeError("%s has to take an argument, the simulation: def %s(sim)" % (function.__qualname__, function.__name__))
        del parameters[own]
        test.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        test.handwound_simulation = True  # type: ignore[attr-defined]
        return test

    return decorate
