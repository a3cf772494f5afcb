"""The user's own priors: copies in the folder where the platform keeps such data.

RESTOREKIT_DATA names another folder; empty, it stands for none. A prior is there under its name, as
a file with the suffix that it came with, its card beside it, or as a folder.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from .. import files
from ..errors import RestorekitError
from .prior import Prior
from .weights import OF_RUN

VARIABLE = "RESTOREKIT_DATA"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
CARD = ".md"


def folder() -> Path | None:
    """Where they are, or would be."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return Path(chosen) / "priors" if chosen else None
    import platformdirs

    return platformdirs.user_data_path("restorekit", appauthor=False) / "priors"


def imported() -> dict[str, Path]:
    """Those that there are, by name."""
    here, found = folder(), {}
    with suppress(OSError):  # none yet, or one that may not be looked into
        for path in sorted(here.iterdir()) if here else ():
            if not path.name.startswith(".") and path.suffix != CARD:
                found[path.stem] = path
    return found


def keep(prior: Prior, path: Path, name: str, replace: bool = False) -> Path:
    """Copies the prior that lies at a path, under a name; gives where it is then.

    It is there as a whole or not at all. Of a training run's folder the weights and their card are
    taken, of any other all files in it.

    Args:
        replace: whether it may take the place of one that was imported under that name.

    Raises:
        RestorekitError: for a name that cannot be one or is taken, or where the disk fails.
    """
    here, old = folder(), imported().get(name)
    if here is None:
        raise RestorekitError(f"{VARIABLE} is empty, which stands for no folder; leave it unset")
    if not NAME.fullmatch(name):
        raise RestorekitError(f"{name!r} is no name for a prior; use letters, digits, - and _")
    if old is not None and not replace:
        raise RestorekitError(f"{old}: exists; use --overwrite, or another name")
    files.make_folder(here)
    source = path / OF_RUN if prior.files == (path / OF_RUN,) else path
    if source.is_dir():
        for file in prior.files:
            if not file.absolute().is_relative_to(source.absolute()):
                raise RestorekitError(
                    f"{path}: its prior also reads {file}, which is not in there; import the "
                    f"folder {source.absolute().parent}"
                )
        target = here / name
        _copy_folder(source, target)
    else:
        target = here / f"{name}{source.suffix}"
        _copy(source, target, replace)
        card = source.with_suffix(CARD)
        if card.is_file():
            _copy(card, target.with_suffix(CARD), replace=True)
    if old is not None and old != target:
        _remove(old)
    return target


def forget(name: str) -> Path:
    """Deletes one that was imported; gives where it was.

    Raises:
        RestorekitError: if none has that name, or the disk does not let it go.
    """
    found = imported()
    if name not in found:
        known = f"there are {', '.join(found)}" if found else "none was"
        raise RestorekitError(f"prior {name!r} was not imported; {known}")
    _remove(found[name])
    return found[name]


def _copy(source: Path, target: Path, replace: bool) -> None:
    with (
        files.opened(source) as file,
        files.whole(target, replace) as part,
        open(part, "wb") as copy,
    ):
        shutil.copyfileobj(file, copy, 1 << 20)


def _copy_folder(source: Path, target: Path) -> None:
    """All files below a folder but hidden ones, into one that appears as a whole."""
    token = os.urandom(8).hex()
    part, old = (target.with_name(f".{target.name}.{token}.{kind}") for kind in ("part", "old"))
    try:
        for root, folders, names in os.walk(source):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside = part / Path(root).relative_to(source)
            files.make_folder(inside)
            for name in (name for name in names if not name.startswith(".")):
                _copy(Path(root, name), inside / name, replace=False)
        if target.exists():
            target.rename(old)
        try:
            part.rename(target)
        except OSError:
            with suppress(OSError):
                old.rename(target)
            raise
    except OSError as error:
        raise files.unwritable(target, error) from error
    finally:
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            gone = path.with_name(f".{path.name}.{os.urandom(8).hex()}.old")  # at once
            path.rename(gone)
            shutil.rmtree(gone)
        else:
            path.unlink()
            path.with_suffix(CARD).unlink(missing_ok=True)
    except OSError as error:
        raise RestorekitError(f"{path}: cannot be removed ({error.strerror or error})") from error
