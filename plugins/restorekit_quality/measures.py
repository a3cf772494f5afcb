"""Metrics that libraries have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from restorekit.engine.declared import marked
from restorekit.errors import RestorekitError
from restorekit.metrics import Traits

if TYPE_CHECKING:
    from torch import Tensor

SCALES = 161  # pixels a side, from which five scales have room for a window of 11
WINDOWS = 41  # from which VIF's four scales have room for theirs


@marked(Traits(higher_is_better=False, needs_reference=False, on_request=True))
def blur(restored: np.ndarray, data_range: float) -> float:
    """How blurred a picture looks, 0 to 1 (Crete et al. 2007). Noise hides blur from it."""
    from skimage.measure import blur_effect

    grey = restored.shape[2] == 1
    picture = restored[..., 0] if grey else restored
    return float(blur_effect(picture / data_range, channel_axis=None if grey else 2))


@marked(Traits(on_request=True))
def ms_ssim(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    """Structural similarity over five scales (Wang et al. 2003), the mean over channels."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    check_size("ms_ssim", reference, SCALES)
    measured: Tensor = multiscale_structural_similarity_index_measure(
        planes(restored), planes(reference), data_range=data_range
    )
    return float(measured)


@marked(Traits(on_request=True))
def vif(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    """Visual information fidelity in the pixel domain (Sheikh and Bovik 2006), over channels."""
    from torchmetrics.functional.image import visual_information_fidelity

    check_size("vif", reference, WINDOWS)
    scale = 255 / data_range  # its visual noise is a variance on 0..255
    measured: Tensor = visual_information_fidelity(
        scale * planes(restored), scale * planes(reference)
    )
    return float(measured)


def check_size(name: str, picture: np.ndarray, least: int) -> None:
    """Raises RestorekitError for a picture that a metric cannot look at."""
    if min(picture.shape[:2]) < least:
        raise RestorekitError(f"{name} needs at least {least} x {least} pixels; leave it out")


def planes(picture: np.ndarray) -> Tensor:
    """(H, W, C) -> (1, C, H, W), float32."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float()[None]
