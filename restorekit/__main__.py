"""`python -m restorekit`, and the installed command."""

import os
import sys

from .cli import main


def run() -> None:
    """Runs the command line and exits with its code."""
    if sys.stderr is not None:  # a copy, as decoders that write to it themselves are silenced
        encoding, errors = sys.stderr.encoding, sys.stderr.errors
        sys.stderr = open(os.dup(2), "w", 1, encoding, errors)  # noqa: SIM115
    sys.exit(main())


if __name__ == "__main__":
    run()
