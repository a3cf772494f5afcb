"""What `samples/hostile.py` tries: one module for each gate, each with its CASES.

A case is a function of (random.Random, an empty folder): one try, different each time. It raises
Fell, or anything else, where restorekit did what it never may.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from restorekit import cli as command_line

Case = Callable[[random.Random, Path], None]


class Fell(AssertionError):  # noqa: N818 - it is no error of ours but a verdict
    """restorekit lost something, or was wrong without a word."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


def restorekit(*arguments: object) -> Ended:
    """The command line in this process. An internal error is always a fall."""
    with CliRunner().isolation() as (out, err, _):
        code = command_line.main([str(a) for a in arguments])
        ended = Ended(code, out.getvalue().decode(), err.getvalue().decode())
    if "internal error" in ended.err:
        raise Fell(f"{' '.join(map(str, arguments))}: {ended.err.strip()}")
    return ended


def must(truth: object, why: str) -> None:
    """Raises Fell unless something holds."""
    if not truth:
        raise Fell(why)
