"""Muon: steepest descent for weight matrices, in a fraction of Adam's steps."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# The quintic of Jordan et al. 2024, which drives every singular value towards 1 in five rounds;
# and how many of them are multiplied up at a time.
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = (3, 2)


def orthogonalised(matrices: Tensor) -> Tensor:
    """U V^T, roughly, of each U S V^T: (N, rows, columns) -> the same.

    Newton and Schulz's iteration X <- (a + b G + c G^2) X with G = X X^T. The factors of some
    rounds are polynomials in the first G, so they are multiplied up on the small side and meet X
    together; not those of all rounds, which bfloat16 could not hold: they reach a^rounds.
    """
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    a, b, c = QUINTIC
    for rounds in ROUNDS:
        gram, product = x @ x.mT, identity
        for _ in range(rounds):
            factor = a * identity + b * gram + c * (gram @ gram)
            product = factor @ product
            gram = factor @ gram @ factor
        x = product @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised (Jordan et al. 2024), for weights of two or more dimensions.

    A convolution counts as the matrix of its first dimension by all the rest. Steps are scaled
    to the size that Adam's have (Liu et al. 2025, eq. 4), so that both take the same rate.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.precision = precision  # of the orthogonalisation alone

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: defaultdict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                mean = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                direction = p.grad.lerp(mean, group["momentum"])  # Nesterov's look ahead
                alike[len(p), p[0].numel()].append((p, direction))
            for (rows, columns), items in alike.items():
                stacked = torch.stack([d.reshape(rows, columns) for _, d in items])
                stacked = stacked.to(self.precision)
                rate = group["lr"] * 0.2 * math.sqrt(max(rows, columns))
                for (p, _), update in zip(items, orthogonalised(stacked), strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(update.reshape(p.shape), alpha=-rate)
