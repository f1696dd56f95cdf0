"""The plugin for pytest: runs simulated tests each in a process of its own, which runs pytest for that test alone."""

import os
import sys
import tempfile
import unittest
from typing import Any, List, Optional

import pytest

from handwound.testing import _child, _parent
from handwound.testing._decorator import simulate
from handwound.testing._errors import Failed, Unsupported


def pytest_addoption(parser: Any) -> None:
    group = parser.getgroup("handwound", "simulated tests")
    group.addoption("--handwound-replay", metavar="LINE", help="the one run that this line stands for, as a report gives it")
    group.addoption("--handwound-seed", metavar="N", help="the one run of this seed")
    group.addoption("--handwound-twice", action="store_true", help="make every run twice, and compare all that happens")


def pytest_configure(config: Any) -> None:
    for option, variable in (("replay", "REPLAY"), ("seed", "SEED"), ("twice", "TWICE")):
        value = config.getoption("handwound_" + option)
        if value:
            os.environ["HANDWOUND_" + variable] = "1" if value is True else value


@pytest.fixture
def simulation() -> Any:
    """Simulates a function at once: ``@simulation(app=app)`` before a function in the test. Takes what
    ``handwound.testing.simulate`` takes."""

    def now(*args: Any, **kwargs: Any) -> Any:
        return lambda function: simulate(*args, **kwargs)(function)()

    return now


def is_simulated(item: Any) -> bool:
    return hasattr(item.obj, "handwound_simulation") or "simulation" in getattr(item, "fixturenames", ())


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> Optional[bool]:
    if _child.is_here() or not is_simulated(pyfuncitem):
        return None
    config = pyfuncitem.config
    # From the folder in which this was started, and not where fixtures may have gone.
    node = os.path.join(str(config.rootpath), pyfuncitem.nodeid)
    command = [sys.executable, "-m", "pytest", node, "-q", "-s", "--tb=native", "--rootdir=%s" % config.rootpath]
    if config.inipath is not None:
        command += ["-c", str(config.inipath)]
    if config.pluginmanager.hasplugin("xdist"):
        command += ["-n0"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    if config.pluginmanager.hasplugin(__name__):
        # It was named on the command line, and not found among what is installed.
        command += ["-p", __name__]
    why = report = None
    try:
        # What failed last (`--ff`, `--lf` among the options of the project) is this process's to remember.
        with tempfile.TemporaryDirectory(prefix="handwound-cache-") as cache:
            command += ["-o", "cache_dir=%s" % cache]
            _parent.outcome(*_parent.start(command, variables, str(config.invocation_params.dir)))
    except (Unsupported, unittest.SkipTest) as skipped:
        why = str(skipped)
    except Failed as failed:
        report = str(failed)
    # Not as what followed from another exception.
    if why is not None:
        pytest.skip(why)
    if report is not None:
        pytest.fail(report, pytrace=False)
    return True
