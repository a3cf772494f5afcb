"""Colour augmentation of a whole batch at once, on its device, through kornia."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import RestorekitError


def augmented(x_0: Tensor, jitter: float, shuffle: float, seed: int) -> Tensor:
    """Crops with other colours, the same for the same seed.

    Args:
        x_0: (B, 3, H, W) on [-1, 1].
        jitter: how far brightness, contrast and saturation may go, as a share; the hue goes a
            tenth as far.
        shuffle: share of crops whose channels change places.
        seed: of the draw; torch's own generator is left as it was.

    Raises:
        RestorekitError: if kornia is not installed.
    """
    if not jitter and not shuffle:
        return x_0
    try:
        from kornia import augmentation
    except ImportError as error:
        raise RestorekitError(
            "jitter and shuffle need kornia: pip install 'restorekit[train]'"
        ) from error
    devices = [x_0.device] if x_0.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        unit = (x_0 + 1) / 2
        if jitter:
            unit = augmentation.ColorJiggle(jitter, jitter, jitter, jitter / 10, p=1.0)(unit)
        if shuffle:
            unit = augmentation.RandomChannelShuffle(p=shuffle)(unit)
    return unit.clamp(0, 1) * 2 - 1
