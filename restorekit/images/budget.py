"""What decoding may take: known from the header, before a byte is decoded."""

from __future__ import annotations

import sys

from PIL import Image, PngImagePlugin

from .. import host
from ..errors import RestorekitError

# Bytes a pixel that reading takes at its peak, estimated: the decoder's own and two copies
SHALLOW, DEEP, FLOAT = 24, 44, 64
WEIGHTY = {"WEBP": 32, "AVIF": 32, "HEIF": 32}  # whose decoders hold the picture once more
EMPTY = 100_000  # pixels that a byte may stand for; only blank lossless WebPs go beyond
SMALL = 16e6  # pixels, below which that does not matter
PROFILE = 4 << 20  # bytes of a colour profile, which PNG's readers take

# Pillow's own limit is 1 MB, and makes a PNG with a larger profile one that it cannot read.
PngImagePlugin.MAX_TEXT_CHUNK = max(PngImagePlugin.MAX_TEXT_CHUNK, PROFILE)


def allow(max_megapixels: float) -> None:
    """Lets Pillow open what the caller wants; it refuses at twice its own limit."""
    if Image.MAX_IMAGE_PIXELS is not None:
        limit = int(min(max_megapixels * 5e5, sys.maxsize))
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, limit)


def check(size: tuple[int, int], kind: str, bits: int, length: int, max_megapixels: float) -> None:
    """Refuses a picture that is too large to be read.

    Args:
        size: (width, height) by the header.
        kind: Pillow's name of the format.
        bits: of a sample: 8, 16 or 32.
        length: of the file, bytes.

    Raises:
        RestorekitError: for too many pixels, for more than the memory takes, or than so short a
            file can mean.
    """
    pixels = size[0] * size[1]
    if pixels > max_megapixels * 1e6:
        remedy = "scale it down, or raise --max-megapixels where the command has it"
        raise RestorekitError(f"has more than {max_megapixels:g} megapixels; {remedy}")
    if pixels > max(SMALL, EMPTY * length):
        what = f"claims {pixels / 1e6:.0f} megapixels in {length} bytes"
        raise RestorekitError(f"{what}, which is no photo; make it anew from its source")
    each = {8: WEIGHTY.get(kind, SHALLOW), 16: DEEP}.get(bits, FLOAT)
    needed, free = pixels * each, host.free_memory()
    if needed > free:
        raise RestorekitError(
            f"takes about {needed / 1e9:.1f} GB of memory to read, and {free / 1e9:.1f} GB are "
            "free; close other programs, or scale it down"
        )


def check_profile(profile: object) -> None:
    """Raises RestorekitError for a colour profile that outputs could not hold."""
    if isinstance(profile, bytes) and len(profile) > PROFILE:
        what = f"has a colour profile of {len(profile) / 1e6:.1f} MB"
        raise RestorekitError(f"{what}, where 4 MB are the most; convert the photo to sRGB")
