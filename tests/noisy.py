"""A cat with known noise, and how far from clean it is."""

from __future__ import annotations

import numpy as np
from skimage import data

CAT = data.chelsea()[60:156, 100:196]


LEVEL = 25 / 255


def noisy(clean: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Unclipped noise on [0, 1], as the literature adds it."""
    return clean / 255 + np.random.default_rng(7).normal(0, level, clean.shape)


def psnr(restored: np.ndarray, clean: np.ndarray) -> float:
    """In dB, of pixels on [0, 1] against 8 bits."""
    return float(-10 * np.log10(np.square(restored - clean / 255).mean()))
