"""How noisy is a photo? From the eigenvalues of its small patches."""

from __future__ import annotations

import math

import numpy as np

PATCHES = 100_000  # at most; enough for the covariance of 75 numbers
SMALLEST = 48  # pixels a side; below there are too few patches


def estimate(pixels: np.ndarray) -> float:
    """The standard deviation of white noise in (H, W, C), in the pixels' own unit.

    Patches of a photo lie near a subspace, so the smaller eigenvalues of their covariance are
    the noise's alone. They scatter evenly about its variance: the largest eigenvalues are dropped
    until mean and median of the rest agree (Chen, Zhu and Heng 2015, algorithm 1). Wavelets
    (Donoho and Johnstone), which take fine texture for noise, serve where patches are too few.
    """
    height, width, channels = pixels.shape
    if min(height, width) < SMALLEST:
        return from_wavelets(pixels)
    side = 5 if channels == 3 else 8
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (side, side), axis=(0, 1))
    excess = windows.shape[0] * windows.shape[1] / PATCHES
    down = math.ceil(excess**0.5)
    across = math.ceil(excess / down)
    patches = windows[::down, ::across].reshape(-1, channels * side * side)
    values = np.linalg.eigvalsh(np.cov(patches, rowvar=False, dtype=np.float64))  # rising
    for kept in range(len(values), 0, -1):
        mean = values[:kept].mean()
        if (values[:kept] > mean).sum() >= (values[:kept] < mean).sum():
            break
    return float(max(mean, 0.0)) ** 0.5


def from_wavelets(pixels: np.ndarray) -> float:
    """From the median of the finest wavelet coefficients; 0 where there are none."""
    from skimage.restoration import estimate_sigma

    if min(pixels.shape[:2]) < 2:
        return 0.0
    found = float(estimate_sigma(pixels, average_sigmas=True, channel_axis=2))
    return found if np.isfinite(found) else 0.0
