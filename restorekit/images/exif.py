"""EXIF among a TIFF's own tags, where it stands without a block around it."""

from __future__ import annotations

import contextlib
import io
import struct
from typing import Any

import tifffile
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from .kinds import WORDS

# To the directories of exposure and of place. tifffile writes no tag of their codes; those below
# them, which nobody has, hold their places.
POINTERS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)


def tags_of(exif: Image.Exif) -> list[tuple[int, Any, int, Any, bool]]:
    """What goes into a TIFF's first directory, as tifffile wants it; `append` does the rest."""
    found = [
        (int(tag), *typed, True)
        for tag in sorted(WORDS & set(exif))
        if (typed := _typed(exif[tag]))
    ]
    pointers = [(tag - 1, "I", 1, 0, True) for tag in POINTERS if exif.get_ifd(tag)]
    return sorted(found + pointers)


def _typed(value: Any) -> tuple[str, int, Any] | None:
    """A value as tifffile writes it: its type, how many, and itself."""
    if isinstance(value, str):
        return "s", 0, value.encode("latin-1", "replace")
    if isinstance(value, bytes) and value:
        return "B", len(value), value
    return ("I", 1, value) if isinstance(value, int) and 0 <= value < 1 << 32 else None


def append(file: io.BytesIO, exif: Image.Exif) -> None:
    """Puts exposure, dates, place and the like behind a written TIFF, where its pointers lead."""
    file.seek(0)
    written = tifffile.TiffFile(file)
    order, tags = written.byteorder, written.pages.first.tags
    where = [(tag, tags[tag - 1]) for tag in POINTERS if tag - 1 in tags]
    for tag, entry in where:
        sound: dict[int, Any] = {}
        at = file.seek(0, io.SEEK_END)
        at += file.write(b"\0" * (at % 2))
        values = dict(exif.get_ifd(tag))
        if ExifTags.IFD.Interop in values:  # a directory within
            values[ExifTags.IFD.Interop] = dict(exif.get_ifd(ExifTags.IFD.Interop))
        for key, value in values.items():
            with contextlib.suppress(Exception):  # a damaged one; the others are still wanted
                _directory(order, {key: value}).tobytes(at)
                sound[key] = value
        file.write(_directory(order, sound).tobytes(at))
        file.seek(entry.offset)
        file.write(struct.pack(order + "H", tag))
        file.seek(entry.valueoffset)
        file.write(struct.pack(order + "I", at))
    file.seek(0, io.SEEK_END)


def _directory(order: str, tags: dict[int, Any]) -> ImageFileDirectory_v2:
    """Of a file in that byte order."""
    directory = ImageFileDirectory_v2(ifh={"<": b"II\x2a\0", ">": b"MM\0\x2a"}[order] + b"\0" * 4)
    for tag, value in tags.items():
        directory[tag] = value
    return directory
