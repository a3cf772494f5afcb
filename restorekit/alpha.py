"""Transparency beside a restoration: it is carried along, and what it hides does not show."""

from __future__ import annotations

import cv2
import numpy as np


def without_hidden(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, C) with each fully transparent pixel's colour replaced by the nearest visible one's.

    What is hidden there (often black or white) would otherwise bleed into what is visible.
    """
    hidden = (alpha == 0).astype(np.uint8)
    if not hidden.any() or hidden.all():
        return pixels
    _, labels = cv2.distanceTransformWithLabels(
        hidden, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    visible = hidden == 0
    colours = np.zeros((labels.max() + 1, pixels.shape[2]), pixels.dtype)
    colours[labels[visible]] = pixels[visible]  # every visible pixel has a label of its own
    return np.asarray(np.where(visible[..., None], pixels, colours[labels]))


def resized(alpha: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) for a restored picture of another size, smooth and within its range."""
    if alpha.shape == size:
        return alpha
    out = cv2.resize(alpha, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(out, 0, 1) if alpha.dtype.kind == "f" else out
