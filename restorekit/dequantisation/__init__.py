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

    from ..engine.regions import Box
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

    def answer(part: Tensor, seen: Box) -> Tensor:
        steps = steps_over(tables, seen.shape, (seen.top, seen.left))
        return network(part, steps.to(device).expand(len(part), -1, -1, -1))

    add_detail(
        x,
        y,
        answer,
        device=device,
        precision=precision,
        tile=TILE,
        reach=REACH,
        tick=tick,
    )
    return x


def steps_over(tables: Tables, size: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> Tensor:
    """(2, H, W) the steps of luma's table and of chroma's, laid over each block of a picture.

    As log2(q) / 8, between 0 and 1 for steps of 8 bits; 0 where there is no chroma.

    Args:
        tables: (8, 8) each and (down, across) how many pixels a sample of it covers; of Y, or of
            Y and Cb (and Cr, which is taken to have Cb's).
        size: (H, W) of a part of the picture.
        corner: (top, left) of that part; blocks begin in the picture's own.
    """
    import torch

    rows, columns = (
        torch.arange(first, first + length) for first, length in zip(corner, size, strict=True)
    )
    planes = []
    for q, (down, across) in tables[:2]:
        tile = q.float().log2().div(BLOCK).repeat_interleave(down, 0).repeat_interleave(across, 1)
        planes.append(tile[rows % len(tile)][:, columns % tile.shape[1]])
    planes += [torch.zeros(size)] * (2 - len(planes))
    return torch.stack(planes)
