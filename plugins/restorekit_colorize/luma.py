"""Luma: what a black-and-white photo tells of a coloured one."""

from __future__ import annotations

import torch
from torch import Tensor

from restorekit.engine.operators import LinearOperator

BT601 = (0.299, 0.587, 0.114)  # of red, green and blue; their sum is 1


class Luma(LinearOperator):
    """A x = w . x in every pixel, w being BT.601's weights; of pixels as they are coded.

    A A^T = |w|^2 I, so all is in closed form.

    Shape:
        (B, 3, H, W) -> (B, 1, H, W).
    """

    weights: Tensor
    norm = sum(w**2 for w in BT601) ** 0.5

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor(BT601, dtype=torch.float64)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        return (self.weights.to(x.dtype) * x).sum(1, keepdim=True)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.weights.to(y.dtype) * y

    def pinv(self, y: Tensor) -> Tensor:
        return self.adjoint(y) / self.norm**2

    def prox(self, z: Tensor, y: Tensor, rho: float) -> Tensor:
        return z + self.adjoint(y - self(z)) / (self.norm**2 + rho)


def with_luma(x: Tensor, y: Tensor) -> Tensor:
    """The picture (1, 3, H, W) with the colours of x, as far as there is room for them, and luma y.

    Colours are moved along grey to the luma that they are to have, and where that leads out of the
    range of pixels they are drawn towards grey, which changes no luma.
    """
    chroma = x - Luma()(x)
    room = torch.where(chroma > 0, 1 - y, 1 + y) / chroma.abs().clamp(min=1e-6)
    return y + chroma * room.amin(1, keepdim=True).clamp(0, 1)
