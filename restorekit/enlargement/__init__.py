"""A first guess at a larger photo, by a small network at the small photo's cost.

What a prior then goes on from, which knows any operator and keeps to the data. `card.md` says how
the network was trained.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from ..small import add_detail, loaded

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    from .network import EnlargementNetwork

WEIGHTS = Path(__file__).parent / "weights.safetensors"
LEAST = 1.3  # factor; below it the network's, made whole, is 2.4 times the result and more
TILE = 192  # pixels a side of the small photo that are enlarged at once


@functools.cache
def _network(device: torch.device) -> EnlargementNetwork:
    from .network import EnlargementNetwork

    return loaded(EnlargementNetwork, WEIGHTS).to(device)


def enlarged(
    y: Tensor,
    size: tuple[int, int],
    sigma: float = 0.0,
    device: torch.device | None = None,
    precision: torch.dtype | None = None,
    tick: Callable[[float], None] | None = None,
) -> Tensor:
    """A picture (B, C, h, w) on [-1, 1], C = 1 or 3, at a larger size (H, W), on the CPU.

    In terms of the small photo's pixels the antialiased bicubic's blur is the same for every
    factor, so the network's factors serve all: its next larger one is reduced to the size, and
    beyond the largest the rest is bicubic.

    Args:
        sigma: of the noise in y, on [-1, 1]; an upper bound.
        device, precision: to compute in; the CPU and float32 by default.
        tick: called with the share that is done.
    """
    import torch

    from ..engine.operators import Resample
    from .network import FACTORS, REACH

    device = torch.device("cpu") if device is None else device
    small = y.shape[2:]
    wanted = max(big / little for big, little in zip(size, small, strict=True))
    if wanted < LEAST:
        return Resample((small[0], small[1]), size)(y)
    factor = next((f for f in FACTORS if f >= wanted), FACTORS[-1])
    native = small[0] * factor, small[1] * factor
    network, told = _network(device), torch.full((len(y),), sigma, device=device)
    x = Resample((small[0], small[1]), native)(y)
    add_detail(
        x,
        y.expand(-1, 3, -1, -1),
        lambda part, _: network(part, told, factor),
        device=device,
        precision=precision,
        tile=TILE,
        reach=REACH,
        factor=factor,
        tick=tick,
    )
    return x if native == size else Resample(native, size)(x)
