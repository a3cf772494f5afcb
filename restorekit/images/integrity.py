"""What decoders pass over: files whose content is cut, zeroed, or was never there.

Each check takes an open file and raises RestorekitError, without the file's name, where the
pixels would be other than those that were stored.
"""

from __future__ import annotations

import mmap
import re
import struct
import zlib
from math import prod
from typing import BinaryIO

import tifffile

from ..errors import RestorekitError
from .kinds import JPEGS

CUT = "is damaged or incomplete ({}); copy it again from its source"
PAGES = 1000  # of a TIFF, that are looked at
DEFLATE = (8, 32946)  # TIFF's Compression: Adobe's number, and the older one
ZEROS = 64  # at the end of compressed samples, which end in arbitrary bytes;
FLAT = 5000  # pixels of one colour, of which a WebP may make one more zero
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither stuffing, nor a restart, nor padding


def damaged(what: str) -> RestorekitError:
    """What to raise for a file that is not what its writer made."""
    return RestorekitError(CUT.format(what))


def check(file: BinaryIO, kind: str, pixels: int) -> None:
    """Raises RestorekitError for what the decoder of a format (Pillow's name) would not notice."""
    if kind in JPEGS:
        jpeg(file)
    elif kind == "WEBP":
        webp(file, pixels)
    elif kind in ("AVIF", "HEIF"):
        boxes(file)
    elif kind == "TIFF":
        tiff(file)


def _mapped(file: BinaryIO) -> mmap.mmap:
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def jpeg(file: BinaryIO) -> None:
    """A JPEG goes on to its end marker; where zeros stand for its last part there is none."""
    with _mapped(file) as data:
        at, scanned = 2, False
        while found := MARKER.search(data, at):
            marker = data[found.end() - 1]
            if marker == 0xD9:
                if scanned:
                    return
                break
            at = found.end()
            if marker in (0x01, 0xD8):
                continue
            scanned |= marker == 0xDA
            at += int.from_bytes(data[at : at + 2], "big")
    raise damaged("it has no end")


def webp(file: BinaryIO, pixels: int) -> None:
    """The chunks of a WebP's samples end in other bytes than zeros."""
    with _mapped(file) as data:
        at = 12
        while at + 8 <= len(data):
            name, size = struct.unpack("<4sI", data[at : at + 8])
            end = at + 8 + size
            if name in (b"VP8 ", b"VP8L", b"ALPH"):
                _not_zeroed(data, at + 8, end, ZEROS + pixels // FLAT)
            at = end + size % 2


def boxes(file: BinaryIO) -> None:
    """The same for the media data of AVIF and HEIF, and that every box is there."""
    with _mapped(file) as data:
        at = 0
        while at + 8 <= len(data):
            size, name = struct.unpack(">I4s", data[at : at + 8])
            if size == 1:
                size = int.from_bytes(data[at + 8 : at + 16], "big")
            end = at + size if size else len(data)
            if size and (size < 8 or end > len(data)):
                raise damaged("a part of it is missing")
            if name == b"mdat":
                _not_zeroed(data, at + 8, end)
            at = end


def _not_zeroed(data: mmap.mmap, start: int, end: int, allowed: int = ZEROS) -> None:
    if end > len(data):
        raise damaged("a part of it is missing")
    if end - start > allowed and not any(data[end - allowed : end]):
        raise damaged("it ends in zeros")


def tiff(file: BinaryIO) -> None:
    """The table of a TIFF's strips or tiles is whole, lies in the file, and inflates."""
    size = file.seek(0, 2)
    file.seek(0)
    page = tifffile.TiffFile(file).pages.first
    if not isinstance(page, tifffile.TiffPage):
        raise damaged("it has no directory")
    offsets, counts, chunks = page.dataoffsets, page.databytecounts, prod(page.chunked)
    if min(len(offsets), len(counts)) < chunks:
        raise damaged(f"{min(len(offsets), len(counts))} of {chunks} strips or tiles")
    full = prod(page.chunks) * page.bitspersample // 8
    whole = prod(page.shape) * page.bitspersample // 8
    for offset, count in zip(offsets[:chunks], counts[:chunks], strict=True):
        if offset < 8 or count < 1 or offset + count > size:
            raise damaged("strips or tiles lie outside the file")
        if page.compression in DEFLATE:
            file.seek(offset)
            _inflates(file, count, full)
    if page.compression == 1 and not whole <= sum(counts[:chunks]) <= size:
        raise damaged("its samples are not all there")


def _inflates(file: BinaryIO, count: int, most: int) -> None:
    """Inflates a strip, a piece at a time, for the checksum that libtiff does not look at."""
    stream, made = zlib.decompressobj(), 0
    try:
        while count > 0 and not stream.eof:
            data = file.read(min(count, 1 << 16))
            count -= len(data)
            while data and not stream.eof:
                made += len(stream.decompress(data, 1 << 20))
                data = stream.unconsumed_tail
                if made > 2 * most + (1 << 20):
                    raise damaged("a strip holds more than it may")
    except zlib.error as error:
        raise damaged("a strip's checksum or content is wrong") from error
    if not stream.eof:
        raise damaged("a strip breaks off")


def tiff_pages(file: BinaryIO) -> int:
    """How many pictures a TIFF holds, its previews apart; PAGES + 1 where there are more."""
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    number, entry, pointer, first = ("Q", 20, "Q", 8) if big else ("H", 12, "I", 4)
    step = struct.calcsize(pointer)
    (at,) = struct.unpack(order + pointer, head[first : first + step])
    seen: set[int] = set()
    pictures = 0
    subfile = struct.pack(order + "H", 254)  # NewSubfileType, whose lowest bit is a preview's
    bit = 0 if order == "<" else 3
    while at and len(seen) <= PAGES:
        if at in seen:
            raise damaged("its directories go in a circle")
        seen.add(at)
        file.seek(at)
        (entries,) = struct.unpack(order + number, file.read(struct.calcsize(number)))
        table = file.read(entries * entry) if entries <= 1 << 16 else b""
        if len(table) < entries * entry:
            raise damaged("a directory is cut")
        rows = (table[i : i + entry] for i in range(0, len(table), entry))
        pictures += not any(row[:2] == subfile and row[entry - step + bit] & 1 for row in rows)
        (at,) = struct.unpack(order + pointer, file.read(step).ljust(step, b"\0"))
    return pictures
