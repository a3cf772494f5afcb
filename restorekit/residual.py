"""What the small networks that mend pictures are built of."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

RESIDUAL = 0.25  # of a block: without normalisation, Muon's large steps need it


class Block(nn.Module):
    """A residual block without normalisation (EDSR, Lim et al. 2017, fig. 2c).

    It begins as nothing.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, h: Tensor) -> Tensor:
        return h + RESIDUAL * self.second(F.relu(self.first(h)))
