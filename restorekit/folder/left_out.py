"""What a folder run passes by, counted by kind, so that nobody misses a photo unawares."""

from __future__ import annotations

import stat
from collections import Counter
from pathlib import Path

from .. import images

NAMED = 3  # examples of each kind


class LeftOut:
    """Counts what is not restored, with a few names of each kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.names: dict[str, list[str]] = {}

    def takes(self, path: Path) -> bool:
        """Whether a file is a photo to be restored; else it is counted."""
        kind = _kind(path)
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


def _kind(path: Path) -> str:
    """Why a path is no photo to be restored, in words; empty for one that is."""
    suffix = path.suffix.lower()
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
