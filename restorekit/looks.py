"""What is good to know of a photo and no task of ours mends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .task import Finding

if TYPE_CHECKING:
    from .task import Picture

SOFT = 0.5  # of `blur_effect`: sharp photos have 0.2 to 0.4
FLAT = 0.02  # standard deviation on [-1, 1]
SEEN = 768  # pixels a side of the middle that is looked at


def size(picture: Picture) -> Iterable[Finding]:
    """Always told."""
    height, width = picture.pixels.shape[2:]
    figures = {"width": width, "height": height, "megapixels": height * width / 1e6}
    yield Finding(f"{width} x {height} pixels", figures)


def sharpness(picture: Picture) -> Iterable[Finding]:
    """Blur, by what more blurring changes (Crete et al. 2007)."""
    from skimage.measure import blur_effect

    height, width = picture.pixels.shape[2:]
    if min(height, width) < 32:
        return
    top, left = max(0, (height - SEEN) // 2), max(0, (width - SEEN) // 2)
    seen = picture.pixels[0, :, top : top + SEEN, left : left + SEEN].mean(0).numpy()
    if seen.std() < FLAT:  # has no edges to be soft
        return
    blur = float(blur_effect(seen))
    if blur > SOFT:
        yield Finding("soft or out of focus in the middle", {"blur": blur})
