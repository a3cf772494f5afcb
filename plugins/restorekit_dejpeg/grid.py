"""Where the blocks of a JPEG lie in a picture."""

from __future__ import annotations

import functools
import io

import numpy as np

BLOCK = 8  # pixels a side
CLEARLY = 1.25  # how much rougher a picture is across the walls of blocks, at least
UNEVEN = 1.1  # how much rougher one side of blocks than the other; 1.08 in photos saved once
SURELY = 3.0  # standard errors: what is nearer to even may be chance
FEW = 16  # blocks, which tell nothing


def jumps(luma: np.ndarray, axis: int) -> np.ndarray:
    """The step of (H, W) between pixels j + 1 and j + 2, at j; along an axis, without its sign.

    Less the mean of the steps beside it, which a mere slope has too.
    """
    step = np.diff(luma.astype(np.float32), axis=axis)
    middle, before, after = (
        np.take(step, range(first, step.shape[axis] - 2 + first), axis) for first in (1, 0, 2)
    )
    return np.abs(middle - (before + after) / 2)


def roughness(luma: np.ndarray, axis: int) -> np.ndarray:
    """(8,) how rough (H, W) is between pixels i and i + 1, for each i modulo 8."""
    jump = jumps(luma, axis).mean(axis=1 - axis)
    found = np.zeros(BLOCK)
    for phase in range(BLOCK):
        values = jump[(phase - 1) % BLOCK :: BLOCK]
        found[phase] = values.mean() if values.size else 0.0
    return found


def offset_of(luma: np.ndarray) -> tuple[int, int] | None:
    """(top, left) of the first whole block, or None where no grid can be seen."""
    place = []
    for axis in (0, 1):
        found = roughness(luma, axis)
        if found.max() < CLEARLY * max(np.median(found), 1e-9):
            return None
        place.append((int(found.argmax()) + 1) % BLOCK)
    return place[0], place[1]


def saved_before(luma: np.ndarray) -> bool:
    """Whether a JPEG whose blocks begin in the corner shows the walls of other blocks too.

    Blocks are mirror images of themselves, with one wall inside they are not; or, if it is in the
    middle, are rougher there.
    """
    return min(unevenness(blocks(luma, axis)) for axis in (0, 1)) > UNEVEN


def blocks(luma: np.ndarray, axis: int) -> np.ndarray:
    """(N, 7) how rough each whole block is inside along an axis, but for those at the start."""
    jump = jumps(luma if axis else luma.T, 1)[:, BLOCK - 1 :]
    down, across = (side // BLOCK for side in jump.shape)
    jump = jump[: down * BLOCK, : across * BLOCK].reshape(down, BLOCK, across, BLOCK)
    return jump.mean(1).reshape(-1, BLOCK)[:, : BLOCK - 1]


def unevenness(inside: np.ndarray) -> float:
    """How much rougher one side of `blocks` is than the other, or the middle; 1 if by chance."""
    if len(inside) < FEW:
        return 1.0
    mean, found = np.maximum(inside.mean(0), 1e-9), 1.0
    for i in range(BLOCK - 1):
        other, expected = inside[:, 6 - i], mean[6 - i]  # its mirror image
        if i == 3:
            other, expected = inside[:, [1, 5]].mean(1), np.median(mean)
        more = inside[:, i] - other
        if more.mean() > SURELY * more.std() / len(more) ** 0.5:
            found = max(found, float(mean[i] / expected))
    return found


@functools.cache
def standard_table(quality: int) -> np.ndarray:
    """(8, 8) the luma table of libjpeg's scale of qualities."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer).quantization[0]).reshape(8, 8)  # type: ignore[attr-defined]
