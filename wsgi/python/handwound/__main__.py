"""``python -m handwound``: the command ``handwound``, with the Python that runs this."""

from __future__ import annotations

import sys

from handwound import _native


def main() -> int:
    """Runs the command with this process's arguments. Returns the exit code."""
    return _native.main(["handwound", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
