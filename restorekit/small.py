"""The small networks that come with the package: not priors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .errors import RestorekitError
from .files import read
from .tensors import check_finite, check_same, shapes_of, widened, without_steps

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from .engine.regions import Box
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


def add_detail(
    x: Tensor,
    y: Tensor,
    answer: Callable[[Tensor, Box], Tensor],
    *,
    device: torch.device,
    precision: torch.dtype | None,
    tile: int,
    reach: int,
    factor: int = 1,
    tick: Callable[[float], None] | None = None,
) -> None:
    """Adds to x what a network says that it lacks, seeing a picture y, tile by tile.

    Args:
        x: (B, C, factor H, factor W), C = 1 or 3; changed in place.
        y: (B, C, H, W), on the CPU as x; grey pictures are seen as three channels.
        answer: a part of y on the device, and where it lies -> (B, 3, factor h, factor w).
        device, precision: to compute in; None is float32.
        tile: pixels of y a side that are answered at once.
        reach: pixels of y that an answer depends on, each way.
        tick: called with the share that is done.
    """
    import torch

    from .engine.regions import Box

    whole = Box(0, y.shape[2], 0, y.shape[3])
    tiles = list(whole.tiles(tile))
    reduced = precision not in (None, torch.float32)
    with torch.no_grad(), torch.autocast(device.type, precision, enabled=reduced):
        for number, here in enumerate(tiles):
            seen = here.grown(reach, whole)
            part = y[seen.slices].float()
            part = part.to(device, memory_format=torch.channels_last)
            found = answer(part, seen)[here.within(seen).scaled(factor).slices].float().cpu()
            if x.shape[1] == 1:
                found = found.mean(1, keepdim=True)
            x[here.scaled(factor).slices] += found.to(x)
            if tick is not None:
                tick((number + 1) / len(tiles))


def weights_in(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """A file's tensors in full precision.

    Raises:
        RestorekitError: if it cannot be read, or holds others than the network's own.
    """
    from safetensors.torch import load

    content = read(path)
    try:
        kept = load(content)
        check_same(without_steps(shapes_of(kept)), network.state_dict())
        found = widened(kept)
        check_finite(found)
    except Exception as error:  # a file can be wrong in every way
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RestorekitError(
            f"{path}: holds no weights of {type(network).__name__} ({reason}); give a "
            ".safetensors file that `restorekit train` wrote for it"
        ) from error
    return found
