"""A small network that says what a bicubic enlargement lacks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..residual import Block

FACTORS = (2, 3, 4)  # of enlargement
CHANNELS = tuple(3 * f * f for f in FACTORS)  # of the last layer: each has its own
WIDTH, BLOCKS = 64, 7
REACH = 2 * BLOCKS + 2  # pixels of the small photo that an answer depends on, each way
FINE = 0.1  # about the root mean square of what bicubic lacks
TOLD = 4.0  # the noise level is given at about the scale of the pixels


class EnlargementNetwork(nn.Module):
    """Small photo, its noise, factor -> what its bicubic enlargement lacks.

    Every layer but the last works at the small photo's size (ESPCN, Shi et al. 2016), so that an
    output pixel costs a sixteenth of one of a prior's evaluations at four times the size.

    Shape:
        (B, 3, h, w) on [-1, 1], (B,) noise level on that scale, an upper bound; f of `FACTORS`
        -> (B, 3, f h, f w).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, WIDTH, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(WIDTH) for _ in range(BLOCKS)))
        self.head = nn.Conv2d(WIDTH, sum(CHANNELS), 3, padding=1)
        for parameter in self.head.parameters():  # begins as bicubic enlargement
            nn.init.zeros_(parameter)

    def forward(self, y: Tensor, sigma: Tensor, factor: int) -> Tensor:
        told = (TOLD * sigma).to(y)[:, None, None, None].expand(-1, 1, *y.shape[2:])
        h = self.stem(torch.cat([y, told], dim=1))
        h = h + self.blocks(h)
        first = sum(CHANNELS[: FACTORS.index(factor)])
        own = slice(first, first + 3 * factor**2)
        bias = None if self.head.bias is None else self.head.bias[own]
        detail = F.conv2d(h, self.head.weight[own], bias, padding=1)
        return FINE * F.pixel_shuffle(detail, factor)
