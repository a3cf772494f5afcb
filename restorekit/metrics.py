"""PSNR and SSIM through scikit-image, always with an explicit data range.

A metric is a function. What else is to be known of it are attributes of that function, each with
a default: see `Traits`, and `engine.declared.marked`, which sets them.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from .engine.declared import declared
from .errors import RestorekitError
from .guard import reason
from .units import peak_of

log = logging.getLogger(__name__)

# (restored, reference, data_range) -> score; where it needs no reference (restored, data_range).
Metric = Callable[[np.ndarray, np.ndarray, float], float] | Callable[[np.ndarray, float], float]


@dataclass(frozen=True)
class Traits:
    """Of a metric.

    Attributes:
        higher_is_better: as PSNR is; False for a distance.
        needs_reference: False where it takes (restored, data_range) alone.
        on_request: computed only where it is asked for by name, as what takes long is.
    """

    higher_is_better: bool = True
    needs_reference: bool = True
    on_request: bool = False


def traits(metric: Metric) -> Traits:
    """Those of a metric."""
    return declared(metric, Traits())


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


def applied(
    metric: Metric, restored: np.ndarray, reference: np.ndarray | None, data_range: float
) -> float:
    """A metric's number, with the reference or, where it needs none, without."""
    if traits(metric).needs_reference:
        return metric(restored, reference, data_range)  # type: ignore[arg-type, call-arg]
    return metric(restored, data_range)  # type: ignore[arg-type, call-arg]


def chosen(
    offered: Mapping[str, Metric], names: Iterable[str] | None = None, *, referenced: bool = True
) -> dict[str, Metric]:
    """The metrics to compute, by name, in the order they were asked for.

    Args:
        offered: all there are.
        names: None for all but those `on_request`.
        referenced: whether there are references.

    Raises:
        RestorekitError: for an unknown name, for none, or if one needs a reference and there is
            none.
    """
    if names is None:
        names = [n for n, metric in offered.items() if not traits(metric).on_request]
    names = list(names)
    if not names:
        raise RestorekitError(f"no metric is named; use {', '.join(sorted(offered))}")
    for name in names:
        if name not in offered:
            raise RestorekitError(f"metric {name!r} is unknown; use {', '.join(sorted(offered))}")
        if not referenced and traits(offered[name]).needs_reference:
            raise RestorekitError(
                f"metric {name!r} needs references; give a file or folder of them"
            )
    return {name: offered[name] for name in names}


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
    reference: np.ndarray | None,
    metrics: Mapping[str, Metric],
    *,
    luma: bool = False,
    crop_border: int = 0,
) -> dict[str, float]:
    """Every metric of a restored picture against its reference.

    One that fails is told of and gives NaN, so that the others count.

    Args:
        restored, reference: (H, W, C) of the same size; a grey one is compared to a coloured
            one as colour. Types may differ. The reference may be None if no metric needs it.
        metrics: by name.

    Raises:
        RestorekitError: if the sizes differ, or a metric says why it cannot be had.
    """
    a = comparable(restored, luma=luma, crop_border=crop_border)
    b = None
    if reference is not None:
        if restored.shape[:2] != reference.shape[:2]:
            sizes = [f"{p.shape[1]} x {p.shape[0]}" for p in (restored, reference)]
            raise RestorekitError(f"sizes differ: {sizes[0]} and {sizes[1]}; compare equal sizes")
        b = comparable(reference, luma=luma, crop_border=crop_border)
        if a.shape[2] != b.shape[2]:
            a, b = (np.repeat(p, 3, axis=2) if p.shape[2] == 1 else p for p in (a, b))
    return {name: _number(name, metric, a, b) for name, metric in metrics.items()}


def _number(name: str, metric: Metric, a: np.ndarray, b: np.ndarray | None) -> float:
    try:
        return float(applied(metric, a, b, 255.0))
    except RestorekitError:
        raise
    except (Exception, SystemExit) as error:
        _tell(f"metric {name}: no number, {reason(error)}")
        return float("nan")


@functools.cache  # once, whatever the number of pictures
def _tell(what: str) -> None:
    log.warning(what)


def better(metric: Metric, one: float, other: float) -> bool:
    """Whether a metric's first number is better than the second."""
    return one > other if traits(metric).higher_is_better else one < other
