"""A file of DRUNet's weights as a prior."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restorekit import files
from restorekit.engine.schedule import linear
from restorekit.errors import RestorekitError
from restorekit.priors import Prior
from restorekit.priors.function import FunctionDenoiser
from restorekit.priors.weights import REMEDY
from restorekit.tensors import check_finite, check_same
from restorekit.units import sigma_to_engine

from .network import Config, UNetRes, config_of

LARGEST = 1 << 30  # bytes; the published files have 131 MB
LEVELS = (0.0, 50 / 255)  # sigmas that it was trained at
WINDOW = 128  # side of the pictures that it was trained on
MAPS = 12  # of the finest scale, that an evaluation holds at its peak


def opened(path: Path) -> Prior | None:
    """The prior in a file of PyTorch's; None: its weights are not DRUNet's.

    Raises:
        RestorekitError: if they cannot be read, or are not all there.
    """
    if path.stat().st_size > LARGEST:
        return None
    state = read(path, torch.device("meta"))
    if state is None:
        return None
    try:
        config = config_of(shapes_of(state))
        if config is None:
            return None
        network(config, state)
    except ValueError as error:
        raise broken(path, error) from error
    least, most = map(sigma_to_engine, LEVELS)
    return Prior(
        name=path.stem,
        files=(path,),
        channels=config.channels,
        levels=(least, most),
        halo=config.halo,
        described={
            "network": "DRUNet (Zhang et al. 2021)",
            "channels": config.channels,
            "widths": config.widths,
            "blocks": config.blocks,
            "halo": config.halo,
            "levels of 255": [255 * level for level in LEVELS],
        },
        load=functools.partial(load, path),
    )


def load(
    path: Path, device: torch.device, precision: str, *, exact: bool = False
) -> FunctionDenoiser:
    """The denoiser of a weights file.

    Args:
        exact: take the level of a photo's noise for exact, as in benchmarks of white noise: asked
            once about the photo as it is, and not about one with some more noise, twice.

    Raises:
        RestorekitError: if it is corrupt, or holds values that are not finite.
    """
    state = read(path, torch.device("cpu"))
    try:
        config = config_of(shapes_of(state or {}))
        if state is None or config is None:  # it was another when it was opened
            raise ValueError("they are of another network")
        check_finite(state)
        net = network(config, state)
    except ValueError as error:
        raise broken(path, error) from error
    net.requires_grad_(False).eval().to(device=device, dtype=torch.float32)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def f(noisy: Tensor, sigma: float) -> Tensor:
        level = torch.full_like(noisy[:, :1], sigma)
        clean: Tensor = net(torch.cat([noisy, level], dim=1))
        return clean

    least, most = map(sigma_to_engine, LEVELS)
    return FunctionDenoiser(
        f,
        linear(),
        heard=(least, most),
        multiple=config.multiple,
        precision=getattr(torch, precision),
        window=WINDOW,
        turned=True,
        bound=exact,
        bytes_per_pixel=MAPS * 4 * config.widths[0],
    )


def read(path: Path, device: torch.device) -> dict[str, Tensor] | None:
    """The tensors of a file; on the device "meta" their shapes alone. None: it holds other things.

    Raises:
        RestorekitError: if it cannot be read as weights and nothing else.
    """
    with files.opened(path, LARGEST) as file:
        try:
            held: Any = torch.load(file, map_location=device, weights_only=True)
        except Exception as error:  # a file can be wrong in every way
            why = (str(error) or type(error).__name__).splitlines()[0]
            raise RestorekitError(
                f"{path}: cannot be read as weights ({why}); copy the file again; {REMEDY}"
            ) from error
    if not isinstance(held, dict) or not all(isinstance(t, Tensor) for t in held.values()):
        return None
    return held


def shapes_of(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def network(config: Config, state: dict[str, Tensor]) -> UNetRes:
    """With these weights. Raises ValueError where they are not all there, or of other shapes."""
    with torch.device("meta"):
        net = UNetRes(config)
    check_same(shapes_of(state), net.state_dict())
    net.load_state_dict(state, assign=True)
    return net


def broken(path: Path, error: ValueError) -> RestorekitError:
    """What to raise where the weights are not what they should be."""
    return RestorekitError(f"{path}: weights of DRUNet, but {error}; copy the file again")
