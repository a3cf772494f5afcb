"""Linear systems that have no closed form."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


def demanded(dtype: torch.dtype) -> tuple[int, float]:
    """Steps at most, and the share of the right side that may be left, for numbers of a type.

    Double precision is asked for by who means to check something.
    """
    return (4000, 1e-15) if dtype == torch.float64 else (200, 1e-6)


def conjugate_gradients(normal: Map, b: Tensor, x: Tensor, inverse: Map | None = None) -> Tensor:
    """Solves a symmetric positive (semi)definite system from x (Hestenes and Stiefel 1952).

    Args:
        normal: the system's matrix.
        inverse: about its inverse, symmetric and positive definite too; saves steps.
    """
    steps, left = demanded(b.dtype)
    residual = b - normal(x)
    ahead = residual if inverse is None else inverse(residual)
    direction = ahead
    size = (residual * ahead).sum()
    goal = left**2 * b.square().sum()
    for _ in range(steps):
        if residual.square().sum() <= goal:
            break
        image = normal(direction)
        step = size / (direction * image).sum()
        x = x + step * direction
        residual = residual - step * image
        ahead = residual if inverse is None else inverse(residual)
        size, before = (residual * ahead).sum(), size
        direction = ahead + size / before * direction
    return x


def least_squares(forward: Map, adjoint: Map, y: Tensor) -> Tensor:
    """The x of least norm among those that minimise |A x - y| (CGLS, Hestenes and Stiefel 1952).

    As conjugate gradients on A^T A x = A^T y, but A^T A is never applied to what is sought, whose
    small singular values are seen squared otherwise, and lost.
    """
    steps, left = demanded(y.dtype)
    residual, direction = y, adjoint(y)
    x, size = torch.zeros_like(direction), direction.square().sum()
    goal = left**2 * size
    for _ in range(steps):
        if size <= goal:
            break
        image = forward(direction)
        step = size / image.square().sum()
        x = x + step * direction
        residual = residual - step * image
        slope = adjoint(residual)
        size, before = slope.square().sum(), size
        direction = slope + size / before * direction
    return x
