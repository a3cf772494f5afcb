"""A small U-Net that marks what is damaged, and what is written on."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (16, 32, 64, 96, 128)  # channels at 1, 1/2, ... of the size
MULTIPLE = 2 ** (len(WIDTHS) - 1)  # of which sides must be
KINDS = ("damage", "writing")  # what is marked
DICE = 0.05  # of Dice's coefficient in the loss


class Block(nn.Module):
    """Two convolutions beside a path that changes nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(F.silu(self.first(F.silu(h))))


class DamageNetwork(nn.Module):
    """Picture -> the logits of each pixel's being damaged, and of its being written on.

    Shape:
        (B, 3, H, W) on [-1, 1], sides multiples of MULTIPLE -> (B, 2, H, W), of each of KINDS.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 3, padding=1)
        self.down = nn.ModuleList(Block(width) for width in WIDTHS)
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(WIDTHS))
        self.wide = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(WIDTHS))
        self.up = nn.ModuleList(Block(width) for width in WIDTHS[:-1])
        self.head = nn.Conv2d(WIDTHS[0], len(KINDS), 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        kept = []
        for level, block in enumerate(self.down):
            h = block(h)
            if level < len(self.narrow):
                kept.append(h)
                h = self.narrow[level](h)
        for level in reversed(range(len(self.wide))):
            h = F.interpolate(self.wide[level](h), scale_factor=2.0, mode="bilinear")
            h = self.up[level](h + kept[level])
        return self.head(h)


def loss(logits: Tensor, there: Tensor, sure: Tensor) -> Tensor:
    """Cross-entropy, and a little of Dice's coefficient over the batch, since damage is rare.

    Args:
        logits: (B, 2, H, W), of each of KINDS.
        there: the same, of 0 and 1.
        sure: the same, 0 where it does not matter, as at soft edges.
    """
    each = F.binary_cross_entropy_with_logits(logits, there, reduction="none")
    entropy = (sure * each).sum() / sure.sum() * logits.shape[1]
    found = logits.sigmoid() * sure
    both, all_ = (part.sum((0, 2, 3)) for part in (found * there, found + sure * there))
    return entropy + DICE * (1 - (2 * both + 1) / (all_ + 1)).sum()
