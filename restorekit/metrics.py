"""PSNR and SSIM through scikit-image, always with an explicit data range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from .errors import RestorekitError
from .units import peak_of

Metric = Callable[[np.ndarray, np.ndarray, float], float]


def psnr(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    """Peak signal to noise ratio in dB over all values of (H, W, C); infinite for equals."""
    if np.array_equal(restored, reference):
        return float("inf")
    return float(peak_signal_noise_ratio(reference, restored, data_range=data_range))


def ssim(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    """Structural similarity as its authors compute it (Wang et al. 2004): Gaussian window, 1.5.

    Raises:
        RestorekitError: for a picture smaller than the window of 11 x 11.
    """
    if min(reference.shape[:2]) < 11:
        raise RestorekitError("SSIM needs at least 11 x 11 pixels; compare larger pictures")
    return float(
        structural_similarity(
            reference,
            restored,
            data_range=data_range,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


METRICS: dict[str, Metric] = {"psnr": psnr, "ssim": ssim}


def comparable(pixels: np.ndarray, *, luma: bool = False, crop_border: int = 0) -> np.ndarray:
    """A picture as metrics see it: float64 on 0..255, cropped, luma alone if wanted.

    Args:
        pixels: (H, W, C) uint8, uint16, or float on [0, 1].
        luma: the Y of BT.601, on 16..235, as the super-resolution literature takes it.
        crop_border: pixels left out along each edge.

    Raises:
        RestorekitError: if nothing remains after cropping.
    """
    unit = pixels.astype(np.float64) / peak_of(pixels.dtype)
    if crop_border:
        unit = unit[crop_border:-crop_border, crop_border:-crop_border]
    if unit.size == 0:
        raise RestorekitError(f"nothing remains after cropping {crop_border} pixels")
    if luma:
        unit = np.repeat(unit, 3, axis=2) if unit.shape[2] == 1 else unit
        return np.asarray(rgb2ycbcr(unit)[..., :1])
    return unit * 255


def score(
    restored: np.ndarray,
    reference: np.ndarray,
    metrics: dict[str, Metric],
    *,
    luma: bool = False,
    crop_border: int = 0,
) -> dict[str, float]:
    """Every metric of a restored picture against its reference.

    Args:
        restored, reference: (H, W, C) of the same size; a grey one is compared to a coloured
            one as colour. Types may differ.
        metrics: by name.

    Raises:
        RestorekitError: if the sizes differ.
    """
    if restored.shape[:2] != reference.shape[:2]:
        sizes = [f"{p.shape[1]} x {p.shape[0]}" for p in (restored, reference)]
        raise RestorekitError(f"sizes differ: {sizes[0]} and {sizes[1]}; compare equal sizes")
    a, b = (comparable(p, luma=luma, crop_border=crop_border) for p in (restored, reference))
    if a.shape[2] != b.shape[2]:
        a, b = (np.repeat(p, 3, axis=2) if p.shape[2] == 1 else p for p in (a, b))
    return {name: metric(a, b, 255.0) for name, metric in metrics.items()}
