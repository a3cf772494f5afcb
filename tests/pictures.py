"""Picture files for the tests of reading and writing, made without our own code."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from restorekit import images
from restorekit.errors import RestorekitError

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="%d"/></x:xmpmeta>'
ORIENTATIONS = range(1, 9)
ORIENTATION, MAKE, EXPOSURE = 0x0112, 0x010F, 0x829A


def samples(channels: int, dtype: type = np.uint8, size: tuple[int, int] = (11, 14)) -> np.ndarray:
    peak = np.iinfo(dtype).max
    return np.random.default_rng(channels).integers(0, peak + 1, (*size, channels)).astype(dtype)


def smooth() -> np.ndarray:
    """Different in every corner and mild enough for JPEG: (16, 24, 3)."""
    y, x = np.mgrid[0:16, 0:24]
    return np.stack([y * 14, x * 9, (x + y) * 5], axis=-1).astype(np.uint8)


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[ORIENTATION], block[MAKE] = orientation, "Acme"
    block.get_ifd(0x8769)[EXPOSURE] = 0.5
    return block.tobytes()


def encoded(kind: str, picture: Image.Image | np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png(pixels: np.ndarray, colour_type: int, *extra: tuple[bytes, bytes]) -> bytes:
    """A 16-bit PNG by the letter of its specification, as no library here writes all of them."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    framed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d))
              for k, d in chunks)  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def refused(path: Path | str, *words: str) -> str:
    """Asserts that reading fails with one line that names the file."""
    with pytest.raises(RestorekitError) as caught:
        images.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and len(message.splitlines()) == 1
    assert "; " in message and all(word in message for word in words), message
    return message
