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
BITS = 8, 16  # of a number in a file
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
        bits: of a number, one of `BITS`: 16 is half precision; for 8 see `narrowed`.

    Raises:
        RestorekitError: if a value is not finite in the file.
    """
    import torch
    from safetensors.torch import save as serialise

    if bits not in BITS:
        raise ValueError(f"weights are kept in {BITS} bits, not {bits}")
    alone = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    kept = narrowed(alone) if bits == 8 else {n: t.to(torch.float16) for n, t in alone.items()}
    try:
        check_finite(kept)
    except ValueError as error:
        raise RestorekitError(
            f"{path}: not written, as {error}; train on from an earlier checkpoint"
        ) from error
    write(path, serialise(kept, {KEY: json.dumps(described, sort_keys=True)}))


def narrowed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors as whole numbers of 8 bits, in steps that each of their rows has of its own.

    A row is a part of the first dimension: a convolution's output channel. The steps lie beside
    the tensor, under its name and `STEP`. What has one dimension is kept in half precision.
    """
    import torch

    kept = {}
    for name, tensor in tensors.items():
        if tensor.dim() < 2:
            kept[name] = tensor.to(torch.float16)
            continue
        rows = tensor.float().flatten(1)
        step = (rows.abs().amax(1, keepdim=True) / LARGEST).clamp(min=1e-20)  # rows of zeros
        kept[name] = (rows / step).round().to(torch.int8).view(tensor.shape)
        kept[name + STEP] = step.flatten()
    return kept


def widened(kept: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A file's tensors in full precision, whatever they were kept in.

    Raises:
        ValueError: if one is neither of fractions nor of 8 bits with a step for each row.
    """
    import torch

    full = {}
    for name in without_steps(shapes_of(kept)):
        tensor, step = kept[name], kept.get(name + STEP)
        fractions = tensor if step is None else step
        if (step is None) == (tensor.dtype == torch.int8) or not fractions.is_floating_point():
            raise ValueError(f"tensor {name[:100]!r} is of {tensor.dtype}, its steps do not fit")
        full[name] = tensor.float()
        if step is not None:
            full[name] *= step.float().view(-1, *[1] * (tensor.dim() - 1))
    return full


def shapes_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def without_steps(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes of the tensors themselves. Raises ValueError unless steps are one for each row."""
    tensors = {}
    for name, shape in shapes.items():
        of = name.removesuffix(STEP)
        rows = None if of == name or of.endswith(STEP) else shapes.get(of)
        if rows is None:
            tensors[name] = shape
        elif shape != rows[:1]:
            raise ValueError(f"tensor {name[:100]!r} is {shape}, and has rows of {rows}")
    return tensors
