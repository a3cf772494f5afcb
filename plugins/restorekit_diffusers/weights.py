"""Weights in the formats of diffusers, transformers and guided-diffusion, read as numbers alone."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorekit import files
from restorekit.errors import RestorekitError
from restorekit.tensors import check_finite, check_same

if TYPE_CHECKING:
    import torch

# Attention was called so by diffusers before 0.17, and is in most of the folders of that time.
OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
OLD_NAME = re.compile(r"(attentions\.\d+)\.(query|key|value|proj_attn)\.(weight|bias)$")
LARGEST = 16 << 30  # bytes


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file, in float32, by name; safetensors, or torch's own with weights only.

    Raises:
        RestorekitError: if it cannot be read, holds anything but tensors, or values that are not
            finite.
    """
    import safetensors.torch
    import torch

    with files.opened(path, LARGEST) as file:
        try:
            if path.suffix == ".safetensors":
                held: Any = safetensors.torch.load(file.read())
            else:
                held = torch.load(file, map_location="cpu", weights_only=True)
            if not isinstance(held, Mapping) or not held:
                raise ValueError("it is no table of tensors")
            for name, tensor in held.items():
                if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
                    raise ValueError(f"{str(name)[:100]!r} is no tensor")
            check_finite(held)
        except pickle.UnpicklingError as error:
            raise RestorekitError(
                f"{path}: holds more than weights, which is not read; convert it to safetensors"
            ) from error
        except Exception as error:  # a file can be wrong in every way
            raise corrupt(path, error) from error
    return {name: t.float() if t.is_floating_point() else t for name, t in held.items()}


def corrupt(path: Path, error: Exception) -> RestorekitError:
    """What to raise where weights are not what they should be."""
    reason = " ".join((str(error) or type(error).__name__).split())
    return RestorekitError(f"{path}: corrupt weights ({reason[:300]}); copy the file again")


def renamed(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With the names that diffusers has had since 0.17."""

    def present(found: re.Match[str]) -> str:
        return f"{found[1]}.{OLD[found[2]]}.{found[3]}"

    return {OLD_NAME.sub(present, name): tensor for name, tensor in state.items()}


def built(
    make: Callable[[], Any], state: Mapping[str, torch.Tensor], path: Path
) -> torch.nn.Module:
    """A network with these weights, which must be just its own; it takes no memory but theirs.

    Args:
        make: builds it.
        path: of the weights, for the message.

    Raises:
        RestorekitError: if weights are missing, left over or of other shapes.
    """
    import torch

    try:
        with torch.device("meta"):
            network: torch.nn.Module = make()
        check_same({name: tuple(t.shape) for name, t in state.items()}, network.state_dict())
        network.load_state_dict(dict(state), assign=True)
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if tensor.is_meta:
                raise ValueError(f"tensor {name!r} is missing")
    except Exception as error:  # settings may fit no network, or another one
        raise corrupt(path, error) from error
    return network.requires_grad_(False).eval()
