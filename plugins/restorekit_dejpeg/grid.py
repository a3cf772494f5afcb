"""Where the blocks of a JPEG lie in a picture."""

from __future__ import annotations

import functools
import io

import numpy as np

CLEARLY = 1.25  # how much rougher a picture is across the walls of blocks, at least
UNEVEN = 1.1  # how much rougher one side of a block than the other; 1.08 in photos saved once


def roughness(luma: np.ndarray, axis: int) -> np.ndarray:
    """(8,) how rough (H, W) is between pixels i and i + 1, for each i modulo 8.

    The step there, less the mean of the steps beside it, which a mere slope has too.
    """
    step = np.diff(luma.astype(np.float64), axis=axis)
    middle, before, after = (
        np.take(step, range(first, step.shape[axis] - 2 + first), axis) for first in (1, 0, 2)
    )
    jump = np.abs(middle - (before + after) / 2).mean(axis=1 - axis)
    found = np.zeros(8)
    for phase in range(8):  # jump[j] is between pixels j + 1 and j + 2
        values = jump[(phase - 1) % 8 :: 8]
        found[phase] = values.mean() if values.size else 0.0
    return found


def strengths(luma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(8,) each, down and across: roughness beside the median of all phases."""
    down, across = (roughness(luma, axis) for axis in (0, 1))
    return down / max(np.median(down), 1e-9), across / max(np.median(across), 1e-9)


def offset_of(luma: np.ndarray) -> tuple[int, int] | None:
    """(top, left) of the first whole block, or None where no grid can be seen."""
    places = [int(strength.argmax()) for strength in strengths(luma)]
    found = [float(strength.max()) for strength in strengths(luma)]
    if min(found) < CLEARLY:
        return None
    return (places[0] + 1) % 8, (places[1] + 1) % 8


def saved_before(luma: np.ndarray) -> bool:
    """Whether a JPEG whose blocks begin in the corner shows the walls of other blocks too.

    Blocks are mirror images of themselves, with one wall inside (unless in the middle) they are
    not.
    """

    def unevenness(strength: np.ndarray) -> float:
        inside = np.maximum(strength[:7], 1e-9)
        return max(float((inside / inside[::-1]).max()), float(inside[3]))

    return min(unevenness(strength) for strength in strengths(luma)) > UNEVEN


@functools.cache
def standard_table(quality: int) -> np.ndarray:
    """(8, 8) the luma table of libjpeg's scale of qualities."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer).quantization[0]).reshape(8, 8)  # type: ignore[attr-defined]
