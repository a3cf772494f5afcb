"""Folders of UNet2DModel: diffusion of pixels."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from restorekit.errors import RestorekitError
from restorekit.priors import Prior

from .betas import Chain
from .folder import CONFIG, UNet, chain_of, json_of, weights_of
from .installed import needs

if TYPE_CHECKING:
    import torch

    from .chain import ChainDenoiser

MODEL = "UNet2DModel"


def opened(folder: Path) -> Prior:
    """The prior in a U-Net's folder. Raises RestorekitError, with the reason, if it is none."""
    path = folder / CONFIG
    unet: UNet = json_of(path, UNet)
    if reason := refused(unet):
        raise RestorekitError(f"{path}: {reason}; use an unconditional {MODEL} of pixels")
    chain, chosen = chain_of(folder)
    weights = weights_of(folder)
    return Prior(
        name=folder.parent.name if folder.name == "unet" else folder.name,
        files=(weights, path, *chosen),
        channels=unet.in_channels,
        levels=chain.levels,
        halo=None,
        described={
            "model": MODEL,
            "prediction": chain.prediction_type,
            "betas": "trained" if chain.trained_betas else chain.beta_schedule,
            "T": len(chain.betas()),
            "variance": learned(unet, chain) or "fixed",
            "size": unet.side,
        },
        load=functools.partial(load, weights, path, unet, chain),
    )


def refused(unet: UNet) -> str | None:
    """Why a network can be no prior of pixels."""
    if unet.class_name != MODEL:
        return f"a {unet.class_name} is not read"
    if unet.num_class_embeds is not None or unet.class_embed_type is not None:
        return "it must be told a class, and a photo has none"
    if unet.time_embedding_type != "positional":
        return f"its time embedding is {unet.time_embedding_type!r}, of another kind of diffusion"
    if unet.in_channels not in (1, 3):
        return f"it takes {unet.in_channels} channels, and photos have 1 or 3"
    if unet.out_channels not in (unet.in_channels, 2 * unet.in_channels):
        return f"it gives {unet.out_channels} channels for {unet.in_channels}"
    return None


def learned(unet: UNet, chain: Chain) -> str | None:
    """How the variance is learned; as a range, if the scheduler is of a kind that never asks."""
    if unet.out_channels != 2 * unet.in_channels:
        return None
    return "learned" if chain.variance_type == "learned" else "learned_range"


def load(
    weights: Path, config: Path, unet: UNet, chain: Chain, device: torch.device, precision: str
) -> ChainDenoiser:
    """The denoiser. Raises RestorekitError if the weights do not fit."""
    import torch

    with needs("diffusers"):
        from diffusers import UNet2DModel

    from .chain import PREDICTIONS, ChainDenoiser, answer
    from .weights import built, read, renamed

    state = renamed(read(weights))
    network = built(lambda: UNet2DModel.from_config(json_of(config)), state, weights)
    return ChainDenoiser(
        functools.partial(answer, network.to(device)),
        chain.schedule(),
        PREDICTIONS[chain.prediction_type],
        learned=learned(unet, chain),
        clip=chain.clip_sample_range if chain.clip_sample else None,
        precision=getattr(torch, precision),
        multiple=unet.multiple,
        channels=unet.in_channels,
        bytes_per_pixel=unet.bytes_per_pixel,
        window=unet.side or 256,
    )
