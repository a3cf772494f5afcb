"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .errors import RestorekitError


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to, which takes the place of `path` at the end of the block.

    Where the block fails what it has written is removed, and an earlier `path` stays.

    Raises:
        RestorekitError: if the disk does not take it.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise RestorekitError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "check the free space, or write elsewhere"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write(path: Path, data: str | bytes) -> None:
    """Writes a file, text as UTF-8. Raises as `whole` does."""
    with whole(path) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)
