"""What a folder run passes by, counted by kind, so that nobody misses a photo unawares."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .. import images

NAMED = 3  # examples of each kind


class LeftOut:
    """Counts what is not restored, with a few names of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.names: dict[str, list[str]] = {}

    def takes(self, path: Path, beside: Sequence[str] = ()) -> bool:
        """Whether a file is a photo to be restored; else it is counted.

        Args:
            beside: names of all files in its folder.
        """
        kind = _kind(path) or _mask(path, beside)
        if kind:
            self.add(kind, path)
        return not kind

    def add(self, kind: str, path: Path) -> None:
        """Counts one more of a kind."""
        self.counts[kind] += 1
        if self.counts[kind] <= NAMED:
            self.names.setdefault(kind, []).append(path.name)

    def told(self) -> list[str]:
        """A line for each kind."""
        return [
            f"left out: {count} {kind} ({', '.join(self.names[kind])}"
            f"{', ...' if count > NAMED else ''})"
            for kind, count in sorted(self.counts.items())
        ]


def _mask(path: Path, beside: Sequence[str]) -> str:
    """The same of a mask, as --save-mask writes it, beside its photo."""
    stem = path.stem.removesuffix("-mask")
    if stem == path.stem or path.suffix.lower() != ".png":
        return ""
    photos = [name for name in beside if Path(name).stem == stem]
    here = any(Path(name).suffix.lower() in images.SUFFIXES for name in photos)
    return "masks of photos beside them" if here else ""


def _kind(path: Path) -> str:
    """Why a path is no photo to be restored, in words; empty for one that is."""
    suffix = path.suffix.lower()
    if path.name.startswith("._"):
        return "notes of a Mac's, which are no pictures"
    if suffix not in images.SUFFIXES:
        if suffix in images.RAW:
            return "camera RAW, to be developed first"
        if suffix in images.HEIC:
            return "HEIC, which restorekit[heif] reads"
        return f"{suffix} files, which are not read" if suffix else "files without a suffix"
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""  # a broken link, say: reading it will say what is wrong
    return "" if stat.S_ISREG(mode) else "pipes or devices"
