"""Operators one after the other."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from .operators import LinearOperator, Mask
from .solver import conjugate_gradients


class Compose(LinearOperator):
    """A = A_1 A_2 ... A_n, as it is written: the last acts first. `Compose(mask, resample, blur)`.

    `pinv` and `prox` are solved by conjugate gradients. Behind a mask they go by what the operator
    does without it, which is near where most is known.
    """

    def __init__(self, *operators: LinearOperator) -> None:
        super().__init__()
        self.parts = nn.ModuleList(operators)  # which move with it

    @property
    def operators(self) -> list[LinearOperator]:
        return cast("list[LinearOperator]", list(self.parts))

    @property
    def norm(self) -> float:  # type: ignore[override]
        norms = (operator.norm for operator in self.operators)
        return math.prod(norms, start=1.0)

    def forward(self, x: Tensor) -> Tensor:
        for operator in reversed(self.operators):
            x = operator(x)
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        for operator in self.operators:
            y = operator.adjoint(y)
        return y

    def prox(self, z: Tensor, y: Tensor, rho: float) -> Tensor:
        outer, *inner = self.operators
        if not (isinstance(outer, Mask) and len(inner) == 1):
            return super().prox(z, y, rho)
        (unmasked,) = inner
        nothing = torch.zeros_like(y)
        return conjugate_gradients(
            lambda x: self.adjoint(self(x)) + rho * x,
            self.adjoint(y) + rho * z,
            z,
            inverse=lambda r: unmasked.prox(r / rho, nothing, rho),
        )
