"""The small networks that come with the package: not priors, and asked on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import nn

Network = TypeVar("Network", bound="nn.Module")


def loaded(make: Callable[[], Network], weights: Path) -> Network:
    """A network with the weights that it was shipped with, ready to be asked."""
    import torch
    from safetensors.torch import load_file

    with torch.device("meta"):  # its memory is that of the weights
        network = make()
    tensors = {name: tensor.float() for name, tensor in load_file(weights).items()}
    network.load_state_dict(tensors, assign=True)
    network.requires_grad_(False).eval()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
