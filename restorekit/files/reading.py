"""The gate for reading: regular files only, of a size that was allowed beforehand."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import RestorekitError


def unreadable(path: Path, why: str) -> RestorekitError:
    """What to raise where a file cannot be read."""
    return RestorekitError(f"{path}: cannot be read ({why}); check its name and permissions")


def _unwaiting(path: str, flags: int) -> int:
    """Opens at once, a pipe that nobody writes to as well."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], limit: int | None = None) -> Iterator[BinaryIO]:
    """A regular file, open for reading bytes. A pipe or device is refused and never waited for.

    Args:
        limit: bytes that it may have.

    Raises:
        RestorekitError: where there is none, it is something else, or too large.
    """
    if not os.fspath(path):
        raise RestorekitError("a file's name is empty; give the path of one")
    path = Path(path)
    try:
        file = open(path, "rb", opener=_unwaiting)  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        raise unreadable(path, getattr(error, "strerror", None) or str(error)) from error
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise unreadable(path, "it is a pipe or a device, not a file")
        if limit is not None and status.st_size > limit:
            raise unreadable(path, f"{status.st_size:,} bytes, where {limit:,} are the most")
        yield file


def read(path: str | Path, limit: int | None = None) -> bytes:
    """All of a regular file. Raises as `opened` does."""
    with opened(path, limit) as file:
        try:
            return file.read()
        except OSError as error:
            raise unreadable(Path(path), error.strerror or str(error)) from error


def text(path: str | Path, limit: int = 64 << 20) -> str:
    """All of a regular file of UTF-8. Raises RestorekitError, for other bytes too."""
    try:
        return read(path, limit).decode()
    except UnicodeDecodeError as error:
        raise unreadable(Path(path), "it is no text in UTF-8") from error


def digest(path: Path) -> str:
    """SHA-256 of a file's content. Raises RestorekitError where it cannot be read."""
    import hashlib  # slow to import

    sum_ = hashlib.sha256()
    try:
        with opened(path) as file:
            while block := file.read(1 << 20):
                sum_.update(block)
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error
    return sum_.hexdigest()
