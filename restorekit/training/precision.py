"""The precision that a run computes in."""

from __future__ import annotations

import torch

from ..engine.precision import has_bfloat16
from .settings import Settings


def precision_of(settings: Settings, device: str) -> torch.dtype:
    """Of the network's layers; "auto" is bfloat16 where the device has units for it."""
    if settings.precision != "auto":
        return getattr(torch, settings.precision)
    return torch.bfloat16 if has_bfloat16(torch.device(device)) else torch.float32
