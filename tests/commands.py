"""For tests of commands: run one, and see what is in a folder before and after."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np

from restorekit import cli, images


def run(command: str) -> int:
    """The command line in this process, where torch is loaded already."""
    return cli.main(shlex.split(command))


def tree(folder: str | Path) -> dict[str, bytes]:
    """Every file below a folder, but a run's record: its name and what is in it."""
    files = (p for p in Path(folder).rglob("*") if p.is_file() and ".restorekit" not in p.parts)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def save(path: str, pixels: np.ndarray, alpha: np.ndarray | None = None) -> None:
    images.write(path, images.Photo(np.atleast_3d(pixels), alpha))
