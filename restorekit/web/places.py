"""Where files may be: below the folder that was given, and below the one for what is made."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from ..errors import RestorekitError


def inside(folder: Path, name: str) -> Path:
    """The path of a name below a folder, links followed.

    Args:
        name: as pages send it: with slashes, relative to the folder.

    Raises:
        RestorekitError: where it leads out of the folder, by dots, a root, a drive or a link.
    """
    path = PurePosixPath(name)
    if path.parts and not path.is_absolute() and ".." not in path.parts and "\0" not in name:
        root = os.path.realpath(folder)
        found = os.path.realpath(Path(root, path))  # not resolve: it raises where links circle
        if Path(found).is_relative_to(root) and found != root:
            return Path(found)
    raise RestorekitError(f"{name!r} is not within the folder; name a file below it")


def told(text: str, *folders: Path) -> str:
    """A message in which paths below these folders are told from there on."""
    for folder in folders:
        text = text.replace(f"{folder}{os.sep}", "")
    return text
