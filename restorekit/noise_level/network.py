"""A small network that says how much is wrong with a picture, and with each part of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 8  # pixels a side that share one answer
WIDTHS = (32, 64, 96)
LEAST = 4e-3  # deviation on [-1, 1] that counts as none: half a step of 8 bits
CONTRAST = 64.0  # of the fine detail, before its logarithm-like curve
TONES = 12  # of a picture, for each of which its noise is told
NEAR = 14.0  # how much less a cell counts for each unit of [-1, 1] that it is brighter or darker


class Answer(NamedTuple):
    """What each of N cells says, of grey and of colour.

    Attributes:
        shade: (B, 1, N) how bright it is.
        whole: (B, 2, N) log of the mean square of the noise of its tone, as seen from here.
        trust: (B, 2, N) how much that counts beside what other cells say.
        here: (B, 2, N) log of the mean square of the noise in this cell.
    """

    shade: Tensor
    whole: Tensor
    trust: Tensor
    here: Tensor

    def level(self) -> Tensor:
        """(B, 2) log mean squares of the whole picture.

        Flat cells know, textured ones guess; and as noise depends on the tone, each tone that the
        picture has is told by cells that are about as bright.
        """
        places = (torch.arange(TONES, device=self.shade.device) + 0.5) / TONES
        tones = self.shade.quantile(places, dim=2).permute(1, 2, 0)  # (B, 1, TONES)
        far = (tones[..., None] - self.shade[:, :, None]).abs()
        share = (self.trust[:, :, None] - NEAR * far).softmax(3)
        told = (share * self.whole[:, :, None]).sum(3)
        return told.logsumexp(2) - math.log(TONES)


class NoiseNetwork(nn.Module):
    """Picture -> how strong the faults in it are, in grey and in colour.

    Shape:
        (B, 3, H, W) on [-1, 1], sides multiples of CELL -> an `Answer`'s parts, each of
        (B, 1 or 2, H / CELL, W / CELL).
    """

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth = WIDTHS
        self.stem = nn.Conv2d(24, half, 3, padding=1)
        self.halves = nn.Conv2d(half, half, 3, padding=1)
        self.to_quarter = nn.Conv2d(half, quarter, 2, stride=2)
        self.quarters = nn.ModuleList(nn.Conv2d(quarter, quarter, 3, padding=1) for _ in range(2))
        self.to_eighth = nn.Conv2d(quarter, eighth, 2, stride=2)
        self.eighths = nn.ModuleList(nn.Conv2d(eighth, eighth, 3, padding=1) for _ in range(3))
        self.head = nn.Conv2d(eighth, 6, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # Noise is small beside the picture: fine detail once more, on a scale like a logarithm's.
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        detail = torch.asinh(CONTRAST * (x - F.avg_pool2d(padded, 3, 1)))
        h = F.silu(self.stem(F.pixel_unshuffle(torch.cat([x, detail], dim=1), 2)))
        h = h + F.silu(self.halves(h))
        h = self.to_quarter(h)
        for layer in self.quarters:
            h = h + F.silu(layer(h))
        h = self.to_eighth(h)
        for layer in self.eighths:
            h = h + F.silu(layer(h))
        whole, trust, here = self.head(h).chunk(3, dim=1)
        shade = F.avg_pool2d(x.mean(1, keepdim=True), CELL)
        return shade, whole - 6.0, trust, here - 6.0  # e^-6: noise of 6 on 0..255


def loss(parts: Sequence[Tensor], faults: Tensor) -> Tensor:
    """The squared error of the logarithm of the whole level, and the likelihood of each cell's.

    The latter is that of Gaussian noise, log v + r^2 / v, which is least where v = E[r^2].

    Args:
        parts: what the network said.
        faults: (B, 3, H, W), what was added to the pictures.
    """
    answer = Answer(*(part.flatten(2) for part in parts))
    grey = faults.mean(1, keepdim=True)
    tint = (faults - grey).square().mean(1, keepdim=True)
    cells = F.avg_pool2d(torch.cat([grey.square(), tint], dim=1), CELL) + LEAST**2
    whole = (answer.level() - cells.mean((2, 3)).log()).square().mean()
    here = (answer.here + cells.flatten(2) * torch.exp(-answer.here)).mean()
    return whole + 0.1 * here
