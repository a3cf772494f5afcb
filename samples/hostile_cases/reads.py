"""Files that would be read wrongly, hang, or take all memory."""

from __future__ import annotations

import io
import os
import random
import time
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from restorekit import images
from restorekit.errors import RestorekitError

from . import Case, must, restorekit

SLOW = 10.0  # seconds that reading a small file may take


def _pixels(draw: random.Random, side: int = 96) -> np.ndarray:
    return (
        np.random.default_rng(draw.randrange(1 << 32))
        .integers(0, 256, (side, side, 3))
        .astype(np.uint8)
    )


def _refused_or(path: Path, expected: np.ndarray | None) -> None:
    """Reads a file, which must be refused in one line or give the expected pixels, and soon."""
    began = time.perf_counter()
    try:
        found = images.read(path).pixels
    except RestorekitError as error:
        must(len(str(error).splitlines()) == 1 and "; " in str(error), f"said badly: {error}")
    else:
        same = expected is not None and np.array_equal(found, expected)
        must(same, f"{path.name}: read with other pixels")
    must(time.perf_counter() - began < SLOW, f"{path.name}: took too long")


def zeroed_tail(draw: random.Random, folder: Path) -> None:
    """JPEG, WebP and AVIF whose last part is zeros."""
    kind = draw.choice(["JPEG", "WEBP", "AVIF"])
    buffer = io.BytesIO()
    Image.fromarray(_pixels(draw)).save(buffer, kind)
    data = buffer.getvalue()
    cut = draw.randrange(len(data) // 4, len(data) * 9 // 10)
    (folder / "a").write_bytes(data[:cut] + bytes(len(data) - cut))
    _refused_or(folder / "a", None)


def zeroed_deflate(draw: random.Random, folder: Path) -> None:
    """A TIFF with zeros among its deflated samples."""
    path, pixels = folder / "a.tif", _pixels(draw)
    dtype = draw.choice([np.uint8, np.uint16])
    pixels = pixels.astype(dtype)
    tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", rowsperstrip=32)
    data = bytearray(path.read_bytes())
    page = tifffile.TiffFile(path).pages.first
    strip = draw.randrange(len(page.dataoffsets))
    at = page.dataoffsets[strip] + draw.randrange(page.databytecounts[strip] - 8)
    data[at : at + 8] = bytes(8)
    path.write_bytes(data)
    _refused_or(path, pixels)


def short_table(draw: random.Random, folder: Path) -> None:
    """A TIFF whose table of strips has fewer entries than strips."""
    path, pixels = folder / "a.tif", _pixels(draw)
    tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=draw.choice([4, 8, 16]))
    data = bytearray(path.read_bytes())
    tag = tifffile.TiffFile(path).pages.first.tags[draw.choice(["StripOffsets", "StripByteCounts"])]
    data[tag.offset + 4 : tag.offset + 8] = draw.randrange(1, tag.count).to_bytes(4, "little")
    path.write_bytes(data)
    _refused_or(path, pixels)


def pipe_in_place_of_a_file(draw: random.Random, folder: Path) -> None:
    """A pipe as photo, mask, prior or in a folder, which nothing may wait for."""
    os.mkfifo(folder / "pipe.png")
    Image.fromarray(_pixels(draw, 16)).save(folder / "a.png")
    command = draw.choice([
        ["denoise", "pipe.png", "-o", "o.png"],
        ["denoise", "a.png", "-o", "o.png", "--prior", "./pipe.png"],
        ["inpaint", "a.png", "-o", "o.png", "--mask", "pipe.png"],
        ["denoise", "pipe.png", "-o", "o.png", "--dry-run"],
    ])  # fmt: skip
    must(restorekit(*command).code != 0, f"{command} succeeded")
    must(not (folder / "o.png").exists(), "something was written")


CASES: list[Case] = [zeroed_tail, zeroed_deflate, short_table, pipe_in_place_of_a_file]
