"""``python -m handwound.testing FILE...``: runs the simulated tests of these files, without pytest."""

import argparse
import os
import sys
import unittest
from types import FunctionType
from typing import Callable, List, Optional, Tuple

from handwound.testing import _child
from handwound.testing._errors import Failed, Unsupported


def main(arguments: Optional[List[str]] = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m handwound.testing", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file with tests; FILE::NAME for one of them")
    parser.add_argument("--replay", metavar="LINE", help="the one run that this line stands for")
    parser.add_argument("--seed", metavar="N", type=int, help="the one run of this seed")
    parser.add_argument("--twice", action="store_true", help="make every run twice, and compare all that happens")
    options = parser.parse_args(arguments)
    for name, value in [("REPLAY", options.replay), ("SEED", options.seed), ("TWICE", int(options.twice) or None)]:
        if value is not None:
            os.environ["HANDWOUND_" + name] = str(value)
    failed = count = 0
    for named in options.files:
        file, _, wanted = named.partition("::")
        for name, test in tests(file):
            if wanted and name != wanted:
                continue
            count += 1
            try:
                test()
                print("%s::%s passed" % (file, name), flush=True)
            except Unsupported as why:
                print("%s::%s: %s" % (file, name, why), file=sys.stderr)
                return 2
            except unittest.SkipTest as why:
                print("%s::%s skipped: %s" % (file, name, why), flush=True)
            except Failed as report:
                failed += 1
                print("%s::%s FAILED\n%s\n" % (file, name, report), flush=True)
    if not count:
        print("no simulated test in %s" % ", ".join(options.files), file=sys.stderr)
        return 2
    return 1 if failed else 0


def tests(file: str) -> List[Tuple[str, Callable[[], None]]]:
    """The simulated tests of a file, with their names."""
    module = _child.load(file)
    # Only functions are asked: a module may have what stands for something else, as Flask's `request`, and raises.
    functions = [(name, value) for name, value in vars(module).items() if type(value) is FunctionType]
    return [(name, value) for name, value in functions if hasattr(value, "handwound_simulation")]


if __name__ == "__main__":
    sys.exit(main())
