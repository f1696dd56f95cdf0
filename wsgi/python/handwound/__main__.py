"""``python -m handwound``: the command ``handwound``, with the Python that runs this."""

from __future__ import annotations

import sys

from handwound import _native


def main() -> int:
    """Runs the command with this process's arguments. Returns the exit code."""
    arguments = ["handwound", *sys.argv[1:]]
    # What is served finds none of them, as under the command that was built with cargo.
    sys.argv[:] = ["handwound"]
    return _native.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
