"""A small network that says what a JPEG took away."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..residual import Block

CELL = 2  # pixels a side that are one position of the network
WIDTH, BLOCKS = 64, 12
REACH = CELL * (2 * BLOCKS + 2)  # pixels that an answer depends on, each way
FINE = 0.1  # about the root mean square of what a JPEG takes away
PLANES = 3 + 2  # the picture; the tables of luma and of chroma


class DequantisationNetwork(nn.Module):
    """Decoded JPEG, its tables -> what quantisation took away.

    The tables are laid over the picture, a step for every coefficient of every block. So the
    network is told of any quality, any camera's tables and any subsampling, and where blocks end.

    Shape:
        (B, 3, H, W) on [-1, 1], (B, 2, H, W) as `steps_over` gives them; H and W even
        -> (B, 3, H, W), to be added.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(PLANES * CELL**2, WIDTH, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(WIDTH) for _ in range(BLOCKS)))
        self.head = nn.Conv2d(WIDTH, 3 * CELL**2, 3, padding=1)
        for parameter in self.head.parameters():  # begins as the decoder
            nn.init.zeros_(parameter)

    def forward(self, y: Tensor, steps: Tensor) -> Tensor:
        h = self.stem(F.pixel_unshuffle(torch.cat([y, steps.to(y)], dim=1), CELL))
        h = h + self.blocks(h)
        return FINE * F.pixel_shuffle(self.head(h), CELL)
