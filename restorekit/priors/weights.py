"""What a weights file claims to be, checked before anything is built or read of it."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, NamedTuple

import msgspec

from .. import state
from ..errors import RestorekitError
from ..files import opened
from ..tensors import KEY, Shape, check_same, without_steps

if TYPE_CHECKING:
    from ..engine.unet_config import UNetConfig

OF_RUN = "prior.safetensors"  # what a training run leaves in its folder
REMEDY = "priors are .safetensors files written by `restorekit train`"
LARGEST_HEADER = 16 << 20  # bytes
MOST_PARAMETERS = 500_000_000  # 2 GB as float32

Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Training(msgspec.Struct):
    """What of a prior's training decides how it is asked. Older files say less."""

    noise: Annotated[list[Positive], msgspec.Meta(max_length=4)] = []
    crop: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 256
    rotate: bool = True
    less: Share = 0.0
    unfold: Share = 0.0
    unfold_levels: Annotated[list[Positive], msgspec.Meta(max_length=64)] = []

    @property
    def unfolded(self) -> tuple[float, ...]:
        """The levels of unfolded training, if there was any."""
        return tuple(self.unfold_levels) if self.unfold else ()


class Described(msgspec.Struct):
    """What loading a prior takes."""

    network: dict[str, Any]
    schedule: str
    parametrisation: str
    sigma_data: Annotated[float, msgspec.Meta(gt=0, le=100)]
    training: Training = msgspec.field(default_factory=Training)


class Stored(msgspec.Struct):
    """A tensor as the header has it."""

    dtype: Literal["I8", "F16", "BF16", "F32", "F64"]
    shape: Annotated[
        list[Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]], msgspec.Meta(max_length=8)
    ]


class Header(NamedTuple):
    """The head of a weights file: its bytes, what it says of itself, and of its tensors."""

    raw: bytes
    told: dict[str, Any]
    shapes: dict[str, Shape]

    @property
    def described(self) -> Described:
        return msgspec.convert(self.told, Described)


@contextmanager
def headed(path: Path) -> Iterator[tuple[BinaryIO, Header]]:
    """A weights file, open behind its header.

    Raises:
        RestorekitError: if it is missing, no safetensors, or no prior of restorekit.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened(path))
        except RestorekitError as error:
            raise RestorekitError(f"{error}; {REMEDY}") from error
        yield file, header_of(file, path)


def header_of(file: BinaryIO, path: Path) -> Header:
    """The header, from the start of a file. Raises RestorekitError where it fits no schema."""
    where, head = f"{path}: not a prior", file.read(8)
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
    if not 2 <= length <= LARGEST_HEADER:
        raise RestorekitError(f"{where} (not a safetensors file); {REMEDY}")
    raw = file.read(length)
    entries = state.from_json(raw, dict[str, Any], where, REMEDY)
    metadata = state.fitted(entries.pop("__metadata__", {}), dict[str, str], where, REMEDY)
    if KEY not in metadata:
        raise RestorekitError(f"{where} (it describes no network); {REMEDY}")
    told = state.from_json(metadata[KEY], dict[str, Any], where, REMEDY)
    state.fitted(told, Described, where, REMEDY)
    tensors = state.fitted(entries, dict[str, Stored], where, REMEDY)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return Header(head + raw, told, shapes)


def check_shapes(shapes: Mapping[str, Shape], config: UNetConfig) -> None:
    """Raises ValueError unless tensors are just those of a network, which takes no memory here."""
    import torch

    from ..engine.unet import UNet

    shapes = without_steps(shapes)
    count = sum(math.prod(shape) for shape in shapes.values())
    if count > MOST_PARAMETERS:
        raise ValueError(f"{count:,} parameters, where {MOST_PARAMETERS:,} are the most")
    if sum(config.blocks_per_level) > len(shapes):
        raise ValueError("fewer tensors than the network has blocks")
    with torch.device("meta"):
        check_same(shapes, UNet(config).state_dict())
