"""The gate for writing: files that are whole or not there."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from ..errors import RestorekitError


def unwritable(path: Path, error: OSError) -> RestorekitError:
    """What to raise where the disk does not take a file."""
    return RestorekitError(
        f"{path}: cannot be written ({error.strerror or error}); "
        "check the free space, or write elsewhere"
    )


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it. Raises RestorekitError where there can be none."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RestorekitError(
            f"{path}: cannot be made a folder ({error.strerror or error}); choose another"
        ) from error


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to, of its own, which takes the place of `path` at the end of the block.

    Where the block fails what it has written is removed, and an earlier `path` stays.

    Raises:
        RestorekitError: if the disk does not take it.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())  # before its name says that it is whole
        part.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def clear(path: Path) -> None:
    """Removes what killed processes have left of `path`, for whoever alone may write it."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def write(path: Path, data: str | bytes) -> None:
    """Writes a file, text as UTF-8. Raises as `whole` does."""
    with whole(path) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)
