"""Colour augmentation of a whole batch at once, on its device; jitter through kornia."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def augmented(
    x_0: Tensor,
    jitter: float,
    shuffle: float,
    seed: int,
    batch: int | None = None,
    share: slice = slice(None),
) -> Tensor:
    """Crops with other colours, the same for the same seed and place in the batch.

    Args:
        x_0: (B, 3, H, W) on [-1, 1].
        jitter: how far brightness, contrast and saturation may go, as a share; the hue goes a
            tenth as far.
        shuffle: share of crops whose channels change places.
        batch, share: of how many crops these are part, and which; by default all.
    """
    source = torch.Generator().manual_seed(seed)
    batch = len(x_0) if batch is None else batch
    if jitter:
        from kornia import enhance

        drawn = jitter * (2 * torch.rand(4, batch, generator=source) - 1)[:, share].to(x_0)
        unit = enhance.adjust_brightness((x_0 + 1) / 2, drawn[0])
        unit = enhance.adjust_contrast(unit, 1 + drawn[1])
        unit = enhance.adjust_saturation(unit, 1 + drawn[2])
        x_0 = enhance.adjust_hue(unit, 0.1 * 2 * math.pi * drawn[3]) * 2 - 1
    if shuffle:
        chosen = torch.rand(batch, 1, generator=source) < shuffle
        order = torch.rand(batch, 3, generator=source).argsort(1)
        order = torch.where(chosen, order, torch.arange(3))[share].to(x_0.device)
        x_0 = x_0.gather(1, order[:, :, None, None].expand_as(x_0))
    return x_0
