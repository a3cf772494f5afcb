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
STEP = ".step"  # added to the name of a tensor that is kept in eight bits
LARGEST = 127  # number in these
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


def save(
    path: Path, tensors: Mapping[str, torch.Tensor], described: dict[str, Any], bits: int = 16
) -> None:
    """Writes weights with their description; atomically.

    Args:
        bits: of a number: 16 is half precision; for 8 see `narrowed`.

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
    kept = narrowed(tensors) if bits == 8 else half
    write(path, serialise(kept, {KEY: json.dumps(described, sort_keys=True)}))


def narrowed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors as whole numbers of 8 bits, in steps that each row (output channel) has of its own.

    These lie beside a tensor, under its name and `STEP`. What has one dimension is kept in half
    precision.
    """
    import torch

    kept = {}
    for name, tensor in tensors.items():
        if tensor.dim() < 2:
            kept[name] = tensor.detach().to("cpu", torch.float16)
            continue
        rows = tensor.detach().float().cpu().flatten(1)
        step = (rows.abs().amax(1, keepdim=True) / LARGEST).clamp(min=1e-20)  # rows of zeros
        kept[name] = (rows / step).round().to(torch.int8).view(tensor.shape)
        kept[name + STEP] = step.flatten()
    return kept


def widened(kept: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A file's tensors in full precision, whatever they were kept in.

    Raises:
        ValueError: if those of 8 bits lack their steps, or the steps do not fit.
    """
    import torch

    full = {}
    for name in without_steps({name: tuple(tensor.shape) for name, tensor in kept.items()}):
        full[name] = kept[name].float()
        step = kept.get(name + STEP)
        if (step is None) == (kept[name].dtype == torch.int8):
            raise ValueError(f"tensor {name[:100]!r} and its steps do not fit")
        if step is not None:
            full[name] *= step.float().view(-1, *[1] * (full[name].dim() - 1))
    return full


def without_steps(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes of the tensors themselves. Raises ValueError unless steps are one for each row."""
    tensors = {}
    for name, shape in shapes.items():
        rows = shapes.get(name.removesuffix(STEP)) if name.endswith(STEP) else None
        if rows is None:
            tensors[name] = shape
        elif shape != rows[:1]:
            raise ValueError(f"tensor {name[:100]!r} is {shape}, and has rows of {rows}")
    return tensors
