"""For tests of commands: run one, and see what is in a folder before and after."""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path

import numpy as np

from restorekit import cli, images


def run(command: str) -> int:
    """The command line in this process, where torch is loaded already."""
    return cli.main(shlex.split(command))


def tree(folder: str | Path) -> dict[str, bytes]:
    """Every file below a folder, but a run's record: its name and what is in it.

    The run may be at work: what goes while it is looked at is not there.
    """
    found = {}
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".restorekit"]
        for path in (Path(root, name) for name in files):
            with contextlib.suppress(FileNotFoundError):
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def save(path: str, pixels: np.ndarray, alpha: np.ndarray | None = None) -> None:
    images.write(path, images.Photo(np.atleast_3d(pixels), alpha))
