"""Folders of Stable Diffusion: diffusion of an autoencoder's latents, told what to draw."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from restorekit.errors import RestorekitError
from restorekit.priors import Prior
from restorekit.task import Recipe

from .betas import Chain
from .folder import CONFIG, UNet, chain_of, json_of, weights_of
from .installed import needs
from .text import STEMS

if TYPE_CHECKING:
    import torch

    from .space import LatentDenoiser

MODEL = "UNet2DConditionModel"
TOKENIZER = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json")
OTHERS = ("special_tokens_map.json", "added_tokens.json")

# From noise alone, as holes are filled that nothing is known of
RECIPES = {
    "fidelity": Recipe("replace", "ddim", 50, "uniform", end=0.04),
    "perceptual": Recipe("replace", "ddim-eta1", 50, "uniform", end=0.04),
}


class Autoencoder(msgspec.Struct):
    """What decides how latents and pixels belong together."""

    class_name: str = msgspec.field(name="_class_name")
    block_out_channels: tuple[int, ...] = (64,)
    latent_channels: int = 4
    scaling_factor: float = 0.18215

    @property
    def pixels(self) -> int:
        """Of a picture to one of its latents', along a side."""
        return 2 ** (len(self.block_out_channels) - 1)


class Parts(NamedTuple):
    """The folders of a pipeline that are read, and what they say."""

    unet_at: Path
    unet: UNet
    vae: Autoencoder
    chain: Chain

    def at(self, part: str) -> Path:
        return self.unet_at.parent / part

    def files(self) -> Iterator[Path]:
        """All that decides what the prior answers."""
        yield from (weights_of(self.unet_at), self.unet_at / CONFIG)
        yield from (weights_of(self.at("vae")), self.at("vae") / CONFIG)
        text = self.at("text_encoder")
        yield from (weights_of(text, STEMS), text / CONFIG)
        tokenizer = (self.at("tokenizer") / name for name in TOKENIZER + OTHERS)
        yield from (path for path in tokenizer if path.is_file())


def opened(folder: Path) -> Prior | None:
    """The latent prior whose U-Net is in a folder; None if that is one of pixels.

    Raises:
        RestorekitError: with the reason, if it can be no prior.
    """
    unet: UNet = json_of(folder / CONFIG, UNet)
    if unet.class_name != MODEL:
        return None
    at = folder.parent
    try:
        vae = checked(at, unet)
    except ValueError as error:
        raise RestorekitError(
            f"{at}: {error}; use the folder of a plain text-to-image Stable Diffusion 1 or 2"
        ) from error
    chain, chosen = chain_of(folder)
    parts = Parts(folder, unet, vae, chain)
    return Prior(
        name=at.name,
        files=(*parts.files(), *chosen),
        channels=3,
        levels=chain.levels,
        halo=None,
        described={
            "model": "Stable Diffusion",
            "prediction": chain.prediction_type,
            "betas": "trained" if chain.trained_betas else chain.beta_schedule,
            "T": len(chain.betas()),
            "size": None if unet.side is None else unet.side * vae.pixels,
            "latents": f"{vae.latent_channels} channels, {vae.pixels} pixels a side",
        },
        load=functools.partial(load, parts),
        recipes=RECIPES,
    )


def checked(at: Path, unet: UNet) -> Autoencoder:
    """A pipeline's autoencoder. Raises ValueError, with the reason, if it is none for here."""
    for part in ("vae", "text_encoder", "tokenizer"):
        if not (at / part).is_dir():
            raise ValueError(f"the folder {part} is missing beside its U-Net")
    if (at / "text_encoder_2").is_dir() or unet.addition_embed_type is not None:
        raise ValueError("it has two text encoders (SDXL), which is not read")
    if unet.encoder_hid_dim is not None or unet.time_cond_proj_dim is not None:
        raise ValueError("its U-Net is told more than a text, which is not read")
    if unet.class_embed_type is not None or unet.num_class_embeds is not None:
        raise ValueError("its U-Net must be told a class, and a photo has none")
    vae: Autoencoder = json_of(at / "vae" / CONFIG, Autoencoder)
    text = json_of(at / "text_encoder" / CONFIG)
    if vae.class_name != "AutoencoderKL":
        raise ValueError(f"its autoencoder is {vae.class_name}, and not AutoencoderKL")
    if text.get("architectures") != ["CLIPTextModel"]:
        raise ValueError(f"its text encoder is {text.get('architectures')}, and not CLIPTextModel")
    if unet.in_channels != vae.latent_channels or unet.out_channels != vae.latent_channels:
        raise ValueError(
            f"its U-Net takes {unet.in_channels} channels, where a latent has "
            f"{vae.latent_channels}: it was made for inpainting or another task alone"
        )
    return vae


def load(
    parts: Parts,
    device: torch.device,
    precision: str,
    *,
    prompt: str = "",
    negative: str = "",
    guidance: float = 7.5,
) -> LatentDenoiser:
    """The denoiser of latents.

    Args:
        prompt: what is to be drawn, in words.
        negative: what is not.
        guidance: how much the words count, from 0 to 100 (classifier-free guidance, as diffusers
            counts it); 1: as the network was trained. Others ask it twice.

    Raises:
        RestorekitError: for another guidance, a prompt too long, or weights that do not fit.
    """
    if not 0 <= guidance <= 100:
        raise RestorekitError(f"guidance is {guidance:g}; give 0 to 100")
    import torch

    with needs("diffusers"):
        from diffusers import AutoencoderKL, UNet2DConditionModel

    from .chain import PREDICTIONS
    from .space import Codec, Guided, LatentDenoiser
    from .text import told
    from .weights import built, read, renamed

    def network(kind: Any, at: Path) -> torch.nn.Module:
        weights = weights_of(at)
        state = renamed(read(weights))
        return built(lambda: kind.from_config(json_of(at / CONFIG)), state, weights).to(device)

    words = [prompt] if guidance == 1 or prompt == negative else [negative, prompt]
    texts = told(parts.at("tokenizer"), parts.at("text_encoder"), words).to(device)
    vae = network(AutoencoderKL, parts.at("vae"))
    unet = parts.unet
    return LatentDenoiser(
        Guided(network(UNet2DConditionModel, parts.unet_at), texts, guidance),
        parts.chain.schedule(),
        PREDICTIONS[parts.chain.prediction_type],
        codec=Codec(vae, parts.vae.scaling_factor, parts.vae.pixels),
        precision=getattr(torch, precision),
        multiple=unet.multiple,
        channels=unet.in_channels,
        bytes_per_pixel=len(words) * unet.bytes_per_pixel,
        window=unet.side or 64,
    )
