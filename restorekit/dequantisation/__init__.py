"""What quantisation took away from a JPEG, by a small network that is told the file's tables.

What a prior then goes on from. `card.md` says how the network was trained.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from ..small import add_detail, loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from torch import Tensor

    from .network import DequantisationNetwork

    Tables = Sequence[tuple[Tensor, tuple[int, int]]]

WEIGHTS = Path(__file__).parent / "weights.safetensors"
TILE = 384  # pixels a side that are answered at once
BLOCK = 8  # coefficients a side of a table


@functools.cache
def _network(device: torch.device) -> DequantisationNetwork:
    from .network import DequantisationNetwork

    return loaded(DequantisationNetwork, WEIGHTS).to(device)


def dequantised(
    y: Tensor,
    tables: Tables,
    device: torch.device | None = None,
    precision: torch.dtype | None = None,
    tick: Callable[[float], None] | None = None,
) -> Tensor:
    """A decoded JPEG (1, 3, H, W) on [-1, 1], as near to the photo as the network knows.

    Args:
        y: from a corner of whole MCUs on, sides even; on the CPU, as the answer.
        tables: see `steps_over`.
        device, precision: to compute in; the CPU and float32 by default.
        tick: called with the share that is done.
    """
    import torch

    from .network import REACH

    device = torch.device("cpu") if device is None else device
    network, x = _network(device), y.clone()
    over = steps_over(tables, (y.shape[2], y.shape[3])).expand(len(y), -1, -1, -1)
    add_detail(
        x,
        torch.cat([y, over], dim=1),
        lambda part: network(*part.split([3, 2], dim=1)),
        device=device,
        precision=precision,
        tile=TILE,
        reach=REACH,
        tick=tick,
    )
    return x


def steps_over(tables: Tables, size: tuple[int, int]) -> Tensor:
    """(2, H, W) the steps of luma's table and of chroma's, laid over each block of a picture.

    As log2(q) / 8, between 0 and 1 for steps of 8 bits; 0 where there is no chroma.

    Args:
        tables: (8, 8) each and (down, across) how many pixels a sample of it covers; of Y, or of
            Y and Cb (and Cr, which has Cb's).
        size: (H, W), beginning at a corner of the blocks.
    """
    import torch

    height, width = size
    planes = []
    for q, (down, across) in tables[:2]:
        tile = q.float().clamp(min=1).log2().div(BLOCK)  # a broken file has steps of 0
        tile = tile.repeat_interleave(down, 0).repeat_interleave(across, 1)
        rows, columns = -(-height // tile.shape[0]), -(-width // tile.shape[1])
        planes.append(tile.repeat(rows, columns)[:height, :width])
    planes += [torch.zeros(size)] * (2 - len(planes))
    return torch.stack(planes)
