"""The small networks that come with the package: not priors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .errors import RestorekitError
from .files import read
from .tensors import check_finite, check_same

if TYPE_CHECKING:
    from torch import Tensor, nn

Network = TypeVar("Network", bound="nn.Module")


def loaded(make: Callable[[], Network], weights: Path) -> Network:
    """A network with weights of a file, ready to be asked. See `weights_in` for what is raised."""
    import torch

    with torch.device("meta"):  # its memory is that of the weights
        network = make()
    network.load_state_dict(weights_in(weights, network), assign=True)
    network.requires_grad_(False).eval()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def weights_in(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """A file's tensors in full precision.

    Raises:
        RestorekitError: if it cannot be read, or holds others than the network's own.
    """
    from safetensors.torch import load

    content = read(path)
    try:
        found = load(content)
        check_same({name: tuple(t.shape) for name, t in found.items()}, network.state_dict())
        check_finite(found)
    except Exception as error:  # a file can be wrong in every way
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RestorekitError(
            f"{path}: holds no weights of {type(network).__name__} ({reason}); give a "
            ".safetensors file that `restorekit train` wrote for it"
        ) from error
    return {name: tensor.float() for name, tensor in found.items()}
