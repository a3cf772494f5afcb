"""Priors: what they are before loading, and our own: where those lie, how their weights become a
denoiser, and how they are written.

A prior of our own is one safetensors file. Its metadata holds, under the key "restorekit", a JSON
object: the network's settings, schedule, parametrisation and sigma_data, and what a reader of the
card wants to know. Its numbers are in half precision, or in 8 bits (`tensors.narrowed`).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RestorekitError
from ..tensors import KEY, check_finite, save, widened
from .bridge import from_denoiser
from .own import imported
from .prior import Prior
from .weights import OF_RUN, REMEDY, check_shapes, headed

if TYPE_CHECKING:
    import torch

    from ..engine.denoiser import NetworkDenoiser

__all__ = [
    "KEY",
    "OF_RUN",
    "Prior",
    "from_denoiser",
    "imported",
    "load",
    "opened",
    "own_weights",
    "read_metadata",
    "save",
    "shipped",
]

SHIPPED = Path(__file__).parent
WEIGHTS = ".safetensors"


def shipped() -> dict[str, Path]:
    """Name and file of every prior that comes with the package."""
    files = sorted(SHIPPED.glob("*.safetensors"), key=lambda path: path.stem)
    return {path.stem: path for path in files}


def read_metadata(path: Path) -> dict[str, Any]:
    """The description inside a weights file, without loading the weights (and without torch).

    What loading needs has the right types; see `weights.Described`.

    Raises:
        RestorekitError: if the file is missing, not safetensors, or not a prior of restorekit.
    """
    with headed(path) as (_, header):
        return header.told


def opened(path: Path) -> Prior | None:
    """The prior in a weights file of restorekit, or in a training run's folder; None: it is none.

    Raises:
        RestorekitError: if the file says that it is safetensors, and is no prior of restorekit's.
    """
    from ..engine.unet_config import UNetConfig

    if path.is_dir():
        if not (path / OF_RUN).exists():
            return None
        path = path / OF_RUN
    try:
        with headed(path) as (_, header):
            described = header.described
    except RestorekitError:
        if path.suffix == WEIGHTS:
            raise
        return None
    try:
        config = UNetConfig(**described.network)
    except Exception as error:
        raise corrupt(path, error) from error
    noise = described.training.noise
    return Prior(
        name=path.parent.name if path.name == OF_RUN else path.stem,
        files=(path,),
        channels=config.channels,
        levels=(noise[0], noise[-1]) if noise else None,
        halo=config.halo,
        described=header.told,
        load=functools.partial(load, path),
        unfolded=described.training.unfolded,
    )


def load(
    path: Path, device: str | torch.device = "cpu", precision: str = "float32"
) -> NetworkDenoiser:
    """The denoiser of a weights file, in channels_last, ready to evaluate.

    Nothing is built or read before names and shapes fit the description.

    Args:
        precision: of the network's layers: float32, bfloat16 or float16.

    Raises:
        RestorekitError: if the file is not a prior, is corrupt, does not fit its description, or
            holds values that are not finite.
    """
    import torch
    from safetensors.torch import load as deserialised

    from ..engine.denoiser import NetworkDenoiser
    from ..engine.schedule import SCHEDULES
    from ..engine.unet import UNet
    from ..engine.unet_config import UNetConfig

    with headed(path) as (file, header):
        described, training = header.described, header.described.training
        try:
            config = UNetConfig(**described.network)
            check_shapes(header.shapes, config)
            weights = widened(deserialised(header.raw + file.read()))
            check_finite(weights)
            with torch.device("meta"):  # its memory is that of the weights
                network = UNet(config)
            network.load_state_dict(weights, assign=True)
            schedule = SCHEDULES[described.schedule]()
            grid = schedule.noise_to_signal(torch.tensor([1 / schedule.T, 1.0])).tolist()
            noise = training.noise or grid
            if noise != sorted(noise):
                raise ValueError("its noise levels do not rise")
            denoiser = NetworkDenoiser(
                network,
                schedule,
                described.parametrisation,
                described.sigma_data,
                precision=getattr(torch, precision),
                halo=config.halo,
                multiple=config.multiple,
                channels=config.channels,
                bytes_per_pixel=config.bytes_per_pixel,
                window=training.crop,
                heard=(noise[0], noise[-1]),
                turned=training.rotate,
                bound=training.less > 0,
                mapped=config.mapped,
            )
        except Exception as error:  # a file can be wrong in every way
            raise corrupt(path, error) from error
    denoiser.requires_grad_(False).eval()
    denoiser.to(device=device, dtype=torch.float32)
    denoiser.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return denoiser


def own_weights(prior: Prior) -> Path:
    """The weights file of a prior of restorekit, for training to begin with.

    Raises:
        RestorekitError: if it is of another kind.
    """
    path = prior.files[0] if len(prior.files) == 1 else None
    if path is None or opened(path) is None:
        raise RestorekitError(f"prior {prior.name!r} is not of restorekit's own kind; {REMEDY}")
    return path


def corrupt(path: Path, error: Exception) -> RestorekitError:
    """What to raise where weights are not what they should be."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return RestorekitError(
        f"{path}: corrupt weights ({reason}); copy the file again or train it anew"
    )
