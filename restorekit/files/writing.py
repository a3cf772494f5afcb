"""The gate for writing: files that are whole or not there, and never in place of another's."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import stat
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import RestorekitError

Identity = tuple[int, int]  # device and inode

_guarded: Counter[Identity] = Counter()
_guarding = threading.Lock()
_unfinished: set[Path] = set()  # of writes that are going on


def unwritable(path: Path, error: OSError) -> RestorekitError:
    """What to raise where the disk does not take a file."""
    return RestorekitError(
        f"{path}: cannot be written ({error.strerror or error}); "
        "check the free space, or write elsewhere"
    )


def taken(path: Path) -> RestorekitError:
    """What to raise where a file is there already."""
    return RestorekitError(f"{path}: exists; use --on-exists overwrite, rename or skip")


def identity(path: Path) -> Identity | None:
    """Which file it is, by whatever name; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def guarded(paths: Iterable[Path]) -> Iterator[None]:
    """Within the block nothing is written over these files, under no name and whatever is asked.

    For what a run reads: its photos, masks, weights and records.
    """
    held = [which for path in paths if (which := identity(path))]
    with _guarding:
        _guarded.update(held)
    try:
        yield
    finally:
        with _guarding:
            _guarded.subtract(held)


def check_target(path: Path) -> None:
    """Raises RestorekitError where a name is too long, or is that of what a run reads."""
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise RestorekitError(f"{path}: this name is too long; choose a shorter one") from error
    which = identity(path)
    with _guarding:
        forbidden = which is not None and _guarded[which] > 0
    if forbidden:
        raise RestorekitError(f"{path}: is read by this very run; write to another name")


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it. Raises RestorekitError where there can be none."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RestorekitError(f"{path}: cannot be made a folder ({why}); choose another") from error


def _part_of(path: Path, token: str) -> Path:
    """A name beside a file, no longer than names may be."""
    return path.with_name(f".{path.name[:40]}.{token}.part")


@contextlib.contextmanager
def whole(path: Path, replace: bool = True) -> Iterator[Path]:
    """A name to write to, of its own, which takes the place of `path` at the end of the block.

    Where the block fails what it has written is removed, and an earlier `path` stays.

    Args:
        replace: whether a file that is there already gives way.

    Raises:
        RestorekitError: if the disk does not take it, it is there, or a run reads it.
    """
    part = _part_of(path, os.urandom(8).hex())
    _unfinished.add(part)
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())  # before its name says that it is whole
        publish(part, path, replace)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            part.unlink(missing_ok=True)
        _unfinished.discard(part)


def publish(part: Path, path: Path, replace: bool) -> None:
    """Gives a whole file its name, in one move, across file systems too.

    Raises:
        RestorekitError: if it is there and may not be replaced, or a run reads it.
        OSError: if the disk does not take it.
    """
    check_target(path)
    try:
        if replace:
            part.replace(path)
        else:
            _claim(part, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with whole(path, replace) as beside:  # on the file system where it is to be
            shutil.copyfile(part, beside)
        part.unlink()


def _claim(part: Path, path: Path) -> None:
    """Moves a file to a name that nobody has, not even a link that leads nowhere."""
    try:
        os.link(part, path)
    except FileExistsError as error:
        raise taken(path) from error
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise
        # A file system without links: whoever makes the name first has it.
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError as there:
            raise taken(path) from there
        part.replace(path)
    else:
        part.unlink()


def clear(path: Path) -> None:
    """Removes what killed processes have left of `path`, for whoever alone may write it."""
    for part in path.parent.glob(_part_of(Path(glob.escape(path.name)), "*").name):
        with contextlib.suppress(OSError):
            part.unlink()


def abandon() -> None:
    """Deletes what other threads have not finished writing, for a process about to end."""
    for part in tuple(_unfinished):
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write(path: Path, data: str | bytes, replace: bool = True) -> None:
    """Writes a file, text as UTF-8. Raises as `whole` does."""
    with whole(path, replace) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


def appended(path: Path) -> BinaryIO:
    """A file to add to, made where there is none; never through a link, or to a pipe.

    Raises:
        RestorekitError: if a run reads it, or it is no regular file.
        OSError: if the disk does not take it.
    """
    check_target(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RestorekitError(f"{path}: is not a file of ours; move it away")
    return open(descriptor, "ab", buffering=0)


def write_report(path: Path, text: str) -> None:
    """Writes a whole report, or leaves an older one. Raises as `report` does."""
    check_report(path)
    if path.is_file() or not os.path.lexists(path):
        write(path, text)
        return
    try:
        path.write_bytes(text.encode())
    except OSError as error:
        raise unwritable(path, error) from error


def report(path: Path) -> BinaryIO:
    """A new report, JSON or lines of it, in place of an older one; of nothing else.

    Devices and pipes are written to as they are.

    Raises:
        RestorekitError: if something else is there, or the disk does not take it.
    """
    check_report(path)
    try:
        return open(path, "wb", buffering=0)
    except OSError as error:
        raise unwritable(path, error) from error


def check_report(path: Path) -> None:
    """Raises RestorekitError where a report would take the place of something else."""
    check_target(path)
    try:
        if path.is_file():
            with open(path, "rb") as file:
                if file.read(1) not in (b"", b"{", b"["):
                    raise RestorekitError(f"{path}: is not a report; name another file")
    except OSError as error:
        raise unwritable(path, error) from error
