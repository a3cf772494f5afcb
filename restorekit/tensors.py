"""What tensors that were read must be before a network is given them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Shape = tuple[int, ...]


def check_same(shapes: Mapping[str, Shape], wanted: Mapping[str, torch.Tensor]) -> None:
    """Raises ValueError unless names and shapes are just those of a network's own tensors."""
    for name in sorted(wanted.keys() | shapes.keys()):
        mine = shapes.get(name)
        theirs = tuple(wanted[name].shape) if name in wanted else None
        if mine != theirs:
            raise ValueError(f"tensor {name[:100]!r} is {mine}, and {theirs} in its network")


def check_finite(tensors: Mapping[str, torch.Tensor]) -> None:
    """Raises ValueError where a value is NaN or infinite."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"tensor {name!r} holds NaN or infinity")
