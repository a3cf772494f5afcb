"""What tensors must be before a network is given them or a file is made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import RestorekitError
from .files import write

if TYPE_CHECKING:
    import torch

KEY = "restorekit"  # of what a weights file says of itself
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


def save(path: Path, tensors: Mapping[str, torch.Tensor], described: dict[str, Any]) -> None:
    """Writes weights, in half precision, with their description; atomically.

    Raises:
        RestorekitError: if a value is not finite in half precision.
    """
    import torch
    from safetensors.torch import save as serialise

    half = {name: t.detach().to("cpu", torch.float16).contiguous() for name, t in tensors.items()}
    try:
        check_finite(half)
    except ValueError as error:
        raise RestorekitError(
            f"{path}: not written, as {error}; train on from an earlier checkpoint"
        ) from error
    write(path, serialise(half, {KEY: json.dumps(described, sort_keys=True)}))
