"""Linear systems that have no closed form."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def conjugate_gradients(
    normal: Callable[[Tensor], Tensor], b: Tensor, x: Tensor, steps: int = 200, tol: float = 1e-6
) -> Tensor:
    """Solves a symmetric positive (semi)definite system from x (Hestenes and Stiefel 1952)."""
    residual = b - normal(x)
    direction = residual
    square = residual.square().sum()
    goal = tol**2 * b.square().sum()
    for _ in range(steps):
        if square <= goal:
            break
        image = normal(direction)
        step = square / (direction * image).sum()
        x = x + step * direction
        residual = residual - step * image
        square, before = residual.square().sum(), square
        direction = residual + square / before * direction
    return x
