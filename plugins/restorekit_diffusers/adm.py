"""Checkpoints of OpenAI's guided-diffusion (ADM, Dhariwal and Nichol 2021): unconditional ones.

A checkpoint is a table of tensors and says nothing else of itself; the network is told from their
names and shapes. What is not in them is what all published ones have in common: attention heads of
64 channels in the legacy order, 1000 linear betas from 1e-4 to 0.02, eps, and a learned range of
variances. These are the layers of a UNet2DModel, under other names.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from restorekit import files
from restorekit.errors import RestorekitError
from restorekit.priors import Prior

from .betas import Chain
from .folder import UNet
from .installed import needs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .chain import ChainDenoiser

SUFFIXES = (".pt", ".pth", ".safetensors")
HEAD = 1 << 20  # bytes of a file, among which its tensors are named, in either format
NAMES = (b"input_blocks.0.0.weight", b"middle_block.0.in_layers.0.weight", b"time_embed.0.weight")
HEADS = 64  # channels of each
CHAIN = Chain(beta_schedule="linear")

# Levels without and with attention
DOWN = {False: "ResnetDownsampleBlock2D", True: "AttnDownBlock2D"}
UP = {False: "ResnetUpsampleBlock2D", True: "AttnUpBlock2D"}
RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}


def opened(path: Path) -> Prior | None:
    """The prior in a checkpoint; None if it is none of guided-diffusion.

    Raises:
        RestorekitError: with the reason, if it is one that cannot be a prior.
    """
    if path.suffix not in SUFFIXES:
        return None
    with files.opened(path) as file:
        head = file.read(HEAD)
    if not all(name in head for name in NAMES):
        return None
    if b"label_emb.weight" in head:
        raise RestorekitError(
            f"{path}: it must be told a class, and a photo has none; use an unconditional "
            "checkpoint, as 256x256_diffusion_uncond.pt"
        )
    return Prior(
        name=path.stem,
        files=(path,),
        channels=3,
        levels=CHAIN.levels,
        halo=None,
        described={"model": "ADM", "prediction": "epsilon", "betas": "linear", "T": 1000},
        load=functools.partial(load, path),
    )


class Plan(NamedTuple):
    """The network of a checkpoint.

    Attributes:
        unet: what decides how it is asked.
        settings: of the UNet2DModel.
        names: a module's name there, for each of the checkpoint's.
    """

    unet: UNet
    settings: dict[str, Any]
    names: dict[str, str]


def planned(shapes: Mapping[str, tuple[int, ...]]) -> Plan:
    """What network has tensors of these names and shapes.

    Raises:
        ValueError: with the reason, if none that is known here.
    """
    count = sum(name.endswith(".0.in_layers.0.weight") for name in shapes if "input" in name) + 1
    ups = [k for k in range(count) if any(_at("output", k, i) in shapes for i in (1, 2))]
    if any(re.fullmatch(r"output_blocks\.\d+\.\d+\.conv\.weight", name) for name in shapes):
        raise ValueError(
            "its levels change by convolutions, as in improved-diffusion, where the number of "
            "attention heads is not among the weights"
        )
    blocks = ups[0] if ups else count - 1  # on a level, on the way down
    if blocks < 1 or count % (blocks + 1):
        raise ValueError(f"{count} input blocks make no levels")
    levels = count // (blocks + 1)
    first = [1 + level * (blocks + 1) for level in range(levels)]
    widths = [shapes[f"input_blocks.{k}.0.out_layers.3.weight"][0] for k in first]
    attends = [f"input_blocks.{k}.1.qkv.weight" in shapes for k in first]
    channels, out = shapes["input_blocks.0.0.weight"][1], shapes["out.2.weight"][0]
    if channels != 3 or out not in (3, 6):
        raise ValueError(f"it takes {channels} channels and gives {out}, where photos have 3")
    if shapes["time_embed.0.weight"] != (4 * widths[0], widths[0]):
        raise ValueError("its finest level and its time embedding differ in width")
    scaled = shapes["input_blocks.1.0.emb_layers.1.weight"][0] == 2 * widths[0]
    side = 2 ** (levels + 2)
    settings = {
        "sample_size": side,
        "in_channels": channels,
        "out_channels": out,
        "down_block_types": [DOWN[a] for a in attends],
        "up_block_types": [UP[a] for a in reversed(attends)],
        "block_out_channels": widths,
        "layers_per_block": blocks,
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "attention_head_dim": HEADS,
        "attn_norm_num_groups": 32,
        "resnet_time_scale_shift": "scale_shift" if scaled else "default",
    }
    unet = UNet("UNet2DModel", channels, out, side, tuple(widths), blocks)
    return Plan(unet, settings, {**ENDS, **dict(_modules(levels, blocks, attends))})


def _at(way: str, block: int, place: int) -> str:
    """Where a residual block has its first tensor."""
    return f"{way}_blocks.{block}.{place}.in_layers.0.weight"


def _modules(levels: int, blocks: int, attends: list[bool]) -> Iterator[tuple[str, str]]:
    """The modules of all levels: their names in the checkpoint, and in a UNet2DModel."""
    for level, attended in enumerate(attends):
        first, up = 1 + level * (blocks + 1), levels - 1 - level
        for i in range(blocks):
            yield f"input_blocks.{first + i}.0", f"down_blocks.{level}.resnets.{i}"
            yield f"input_blocks.{first + i}.1", f"down_blocks.{level}.attentions.{i}"
        yield f"input_blocks.{first + blocks}.0", f"down_blocks.{level}.downsamplers.0"
        for i in range(blocks + 1):
            k = up * (blocks + 1) + i
            yield f"output_blocks.{k}.0", f"up_blocks.{up}.resnets.{i}"
            yield f"output_blocks.{k}.1", f"up_blocks.{up}.attentions.{i}"
        last = up * (blocks + 1) + blocks
        yield f"output_blocks.{last}.{1 + attended}", f"up_blocks.{up}.upsamplers.0"
    yield "middle_block.0", "mid_block.resnets.0"
    yield "middle_block.1", "mid_block.attentions.0"
    yield "middle_block.2", "mid_block.resnets.1"


def mapped(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors of a checkpoint under the names that a UNet2DModel has for them.

    Raises:
        ValueError: for one that has no place there.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        module, _, kind = name.rpartition(".")
        if module in ENDS:
            found[f"{names[module]}.{kind}"] = tensor
            continue
        block, layer = _split(module)
        if block not in names:
            raise ValueError(f"tensor {name[:100]!r} has no place in the network")
        into = names[block]
        if layer == "qkv":
            for part, own in zip(("to_q", "to_k", "to_v"), legacy(tensor), strict=True):
                found[f"{into}.{part}.{kind}"] = own
        elif layer == "proj_out":
            found[f"{into}.to_out.0.{kind}"] = tensor.flatten(1) if tensor.ndim > 1 else tensor
        else:
            found[f"{into}.{'group_norm' if layer == 'norm' else RESNET[layer]}.{kind}"] = tensor
    return found


def _split(module: str) -> tuple[str, str]:
    """A block's name and a layer's within it."""
    depth = 2 if module.startswith("middle_block") else 3
    parts = module.split(".")
    return ".".join(parts[:depth]), ".".join(parts[depth:])


def legacy(qkv: Tensor) -> list[Tensor]:
    """Queries, keys and values of all heads, which come head by head (QKVAttentionLegacy)."""
    parts = qkv.reshape(-1, 3, HEADS, *qkv.shape[1:2]).unbind(1)
    return [part.flatten(0, 1) for part in parts]


def load(path: Path, device: torch.device, precision: str) -> ChainDenoiser:
    """The denoiser. Raises RestorekitError if the weights make none."""
    import torch

    with needs("diffusers"):
        from diffusers import UNet2DModel

    from .chain import PREDICTIONS, ChainDenoiser, answer
    from .weights import built, corrupt, read

    state = read(path)
    try:
        plan = planned({name: tuple(tensor.shape) for name, tensor in state.items()})
        state = mapped(state, plan.names)
    except (KeyError, ValueError, RuntimeError) as error:
        raise corrupt(path, error) from error
    network = built(lambda: UNet2DModel(**plan.settings), state, path)
    return ChainDenoiser(
        functools.partial(answer, network.to(device)),
        CHAIN.schedule(),
        PREDICTIONS[CHAIN.prediction_type],
        learned="learned_range" if plan.unet.out_channels == 6 else None,
        clip=1.0,
        precision=getattr(torch, precision),
        multiple=plan.unet.multiple,
        channels=3,
        bytes_per_pixel=plan.unet.bytes_per_pixel,
        window=plan.unet.side or 256,
    )
