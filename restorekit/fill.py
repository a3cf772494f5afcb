"""A first guess of what is missing, for holes of any shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RADIUS = 3  # pixels around each that its value comes from
REACH = 4 * RADIUS  # beyond which nothing changes a guess: found by trying, held by a test


def telea(pixels: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fast marching from the hole's edge inwards (Telea 2004), by OpenCV.

    Args:
        pixels: (H, W, C) uint8, C = 3 or 1.
        hole: (H, W) bool, True where nothing is known.
    """
    import cv2
    import numpy as np

    pixels = np.ascontiguousarray(pixels)
    filled = cv2.inpaint(pixels, hole.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA)
    return filled.reshape(pixels.shape)
