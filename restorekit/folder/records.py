"""The rows of a run's record, as they lie in its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from .. import files, state
from ..errors import RestorekitError

BEGUN, DONE, FAILED = "begun", "done", "failed"
LARGEST = 1 << 30  # bytes of a record


class Fact(msgspec.Struct, frozen=True):
    """What a file is known by."""

    bytes: int | None
    sha256: str

    def fits(self, path: Path) -> bool:
        """Whether a file is, to the bit, what is known. A link never is: it is somebody's."""
        if path.is_symlink():
            return False
        try:
            return files.digest(path) == self.sha256
        except RestorekitError:  # it is not there, or nobody's to read
            return False


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What there is to tell of a photo that was restored; see `Outcome`."""

    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    megapixels: float = 0.0
    nfe: int = 0


NOTHING = Told()


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a photo.

    Attributes:
        name: its path within its folder.
        at: seconds since 1970.
        source: the photo's own path.
        key: of all that decides what becomes of it.
        task: which made it.
        outputs: all that was ever written for it, by path within the output folder.
        written: the last run's files among those.
        writing: what was to get its name when the row was made. (Records of earlier versions have
            names alone there, which prove nothing.)
        reason: why it failed.
        told: when it was done.
    """

    name: str
    at: Annotated[float, msgspec.Meta(ge=0, le=1e11)]
    state: Literal["begun", "done", "failed"]
    source: str = ""
    key: str = ""
    task: str = ""
    outputs: dict[str, Fact] = {}
    written: list[str] = []
    writing: dict[str, Fact] | list[str] = {}
    reason: str = ""
    told: Told = NOTHING

    @property
    def begun(self) -> dict[str, Fact]:
        return self.writing if isinstance(self.writing, dict) else {}

    def facts(self, path: str) -> list[Fact]:
        """What a file of the run's own may be, before and after it was written."""
        return [facts[path] for facts in (self.outputs, self.begun) if path in facts]


def rows_of(file: Path) -> list[Row]:
    """The rows of a record, in order even where the clock was set back.

    Raises:
        RestorekitError: if it cannot be read.
    """
    latest, rows = 0.0, []
    for row in state.rows_from(files.read(file, LARGEST), Row, file):
        latest = max(latest, row.at)
        rows.append(msgspec.structs.replace(row, at=latest))
    return rows


def fact(path: Path) -> Fact:
    return Fact(size_of(path), files.digest(path))


def size_of(path: Path) -> int | None:
    """Bytes of a file; None where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None
