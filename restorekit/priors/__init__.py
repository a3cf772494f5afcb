"""Priors: where shipped weights lie, how weights become a denoiser, and how they are written.

A prior is one safetensors file. Its metadata holds, under the key "restorekit", a JSON object:
the network's settings, schedule, parametrisation and sigma_data, and what a reader of the card
wants to know.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RestorekitError
from ..files import write

if TYPE_CHECKING:
    import torch

    from ..engine.denoiser import NetworkDenoiser

SHIPPED = Path(__file__).parent
KEY = "restorekit"
LARGEST_HEADER = 16 * 2**20


def shipped() -> dict[str, Path]:
    """Name and file of every prior that comes with the package."""
    files = sorted(SHIPPED.glob("*.safetensors"), key=lambda path: path.stem)
    return {path.stem: path for path in files}


def read_metadata(path: Path) -> dict[str, Any]:
    """The description inside a weights file, without loading the weights (and without torch).

    Raises:
        RestorekitError: if the file is missing, not safetensors, or not a prior of restorekit.
    """
    remedy = "priors are .safetensors files written by `restorekit train`"
    try:
        with open(path, "rb") as file:
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if not 2 <= length <= LARGEST_HEADER:
                raise ValueError("not a safetensors file")
            header = json.loads(file.read(length))
        described = json.loads(header["__metadata__"][KEY])
        if not isinstance(described, dict) or "network" not in described:
            raise ValueError("it describes no network")
    except OSError as error:
        raise RestorekitError(f"{path}: {error.strerror or error}; {remedy}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RestorekitError(f"{path}: not a prior ({error}); {remedy}") from error
    return described


def load(
    path: Path, device: str | torch.device = "cpu", precision: str = "float32"
) -> NetworkDenoiser:
    """The denoiser of a weights file, in channels_last, ready to evaluate.

    Args:
        precision: of the network's layers: float32, bfloat16 or float16.

    Raises:
        RestorekitError: if the file is not a prior, is corrupt, or does not fit its description.
    """
    import torch
    from safetensors.torch import load_file

    from ..engine.denoiser import NetworkDenoiser
    from ..engine.schedule import SCHEDULES
    from ..engine.unet import UNet, UNetConfig

    described = read_metadata(path)
    try:
        with torch.device("meta"):  # takes no memory, whatever the file claims to be
            network = UNet(UNetConfig(**described["network"]))
        weights = {name: tensor.float() for name, tensor in load_file(path).items()}
        network.load_state_dict(weights, assign=True)
        training = described.get("training", {})
        schedule = SCHEDULES[described["schedule"]]()
        grid = schedule.noise_to_signal(torch.tensor([1 / schedule.T, 1.0])).tolist()
        noise = training.get("noise") or grid
        denoiser = NetworkDenoiser(
            network,
            schedule,
            described["parametrisation"],
            described["sigma_data"],
            precision=getattr(torch, precision),
            halo=network.config.halo,
            multiple=network.config.multiple,
            channels=network.config.channels,
            bytes_per_pixel=network.config.bytes_per_pixel,
            window=int(training.get("crop", 256)),
            heard=(float(noise[0]), float(noise[-1])),
            turned=bool(training.get("rotate", True)),
            bound=float(training.get("less", 0.0)) > 0,
        )
        if not 0 < denoiser.sigma_data < float("inf"):
            raise ValueError("sigma_data is not a deviation")
    except Exception as error:  # a file can be wrong in every way
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise RestorekitError(
            f"{path}: corrupt weights ({reason}); copy the file again or train it anew"
        ) from error
    denoiser.requires_grad_(False).eval()
    denoiser.to(device=device, dtype=torch.float32)
    denoiser.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return denoiser


def save(path: Path, state: dict[str, torch.Tensor], described: dict[str, Any]) -> None:
    """Writes weights, in half precision, with their description; atomically."""
    import torch
    from safetensors.torch import save as serialise

    tensors = {name: t.detach().to("cpu", torch.float16).contiguous() for name, t in state.items()}
    write(path, serialise(tensors, {KEY: json.dumps(described, sort_keys=True)}))
