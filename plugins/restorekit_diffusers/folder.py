"""What the folder of a diffusers model says of itself: read as JSON, and nothing in it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from restorekit import files, state
from restorekit.errors import RestorekitError

from .betas import Chain

CONFIG, SCHEDULER = "config.json", "scheduler_config.json"
REMEDY = "save the model again with diffusers' save_pretrained"
LARGEST = 64 << 20  # bytes of JSON: the vocabulary of a text encoder has about one

Side = Annotated[int, msgspec.Meta(ge=1, le=65536)]
Width = Annotated[int, msgspec.Meta(ge=1, le=65536)]
Widths = Annotated[tuple[Width, ...], msgspec.Meta(min_length=1, max_length=16)]
Blocks = Annotated[int, msgspec.Meta(ge=1, le=64)]


class UNet(msgspec.Struct):
    """What decides how a U-Net is asked; the rest of its settings is its own."""

    class_name: str = msgspec.field(name="_class_name")
    in_channels: Width = 3
    out_channels: Width = 3
    sample_size: Side | tuple[Side, ...] | None = None
    block_out_channels: Widths = (224, 448, 672, 896)
    layers_per_block: Blocks | tuple[Blocks, ...] = 2
    time_embedding_type: str = "positional"
    class_embed_type: str | None = None
    num_class_embeds: int | None = None
    addition_embed_type: str | None = None
    encoder_hid_dim: int | None = None
    time_cond_proj_dim: int | None = None

    @property
    def side(self) -> int | None:
        """Of the pictures it was trained on."""
        size = self.sample_size
        return max(size) if isinstance(size, tuple) else size

    @property
    def blocks(self) -> int:
        """On a level, at most."""
        layers = self.layers_per_block
        return max(layers) if isinstance(layers, tuple) else layers

    @property
    def multiple(self) -> int:
        """Of which the sides of its pictures are multiples."""
        return 2 ** (len(self.block_out_channels) - 1)

    @property
    def bytes_per_pixel(self) -> int:
        """What a float32 evaluation takes at its peak, roughly: the maps that wait for the way up,
        and some of the finest level."""
        widths = self.block_out_channels
        waiting = sum((self.blocks + 1) * w / 4**level for level, w in enumerate(widths))
        return round(4 * (waiting + 8 * widths[0]))


def json_of(path: Path, kind: Any = dict[str, Any]) -> Any:
    """A JSON file that fits a schema. Raises RestorekitError where it does not."""
    return state.from_json(files.read(path, LARGEST), kind, path, REMEDY)


def weights_of(folder: Path, stems: tuple[str, ...] = ("diffusion_pytorch_model",)) -> Path:
    """The weights in a model's folder: safetensors rather than .bin, whole rather than half.

    Raises:
        RestorekitError: if there are none, or they are in several files.
    """
    for suffix in (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin"):
        for stem in stems:
            if (path := folder / f"{stem}{suffix}").is_file():
                return path
    if any(folder.glob("*.index.json")):
        raise RestorekitError(
            f"{folder}: its weights are in several files; save them in one, with "
            "save_pretrained(..., max_shard_size='100GB')"
        )
    raise RestorekitError(f"{folder}: holds no weights; {REMEDY}")


def chain_of(unet: Path) -> tuple[Chain, tuple[Path, ...]]:
    """The chain of a U-Net's folder, and the files that say so: of its scheduler, which lies
    in it, as in the oldest pipelines, or beside it; without one, DDPM's own.

    Raises:
        RestorekitError: if it is that of another kind of diffusion.
    """
    places = (unet / SCHEDULER, unet.parent / "scheduler" / SCHEDULER)
    path = next((path for path in places if path.is_file()), None)
    if path is None:
        return Chain(beta_schedule="linear"), ()
    chain: Chain = json_of(path, Chain)
    try:
        chain.check()
    except ValueError as error:
        raise RestorekitError(f"{path}: {error}; use another model") from error
    return chain, (path,)


def unet_of(folder: Path) -> Path | None:
    """The folder of the U-Net in that of a pipeline, or this one itself; None: there is none."""
    for at in (folder / "unet", folder):
        if (at / CONFIG).is_file() and "_class_name" in json_of(at / CONFIG):
            return at.absolute()
    return None
