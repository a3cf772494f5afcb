"""Small models of diffusers with random weights, saved as published ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from restorekit import images
from restorekit.errors import RestorekitError
from restorekit.loading import find_prior, load_prior

from .commands import run, save, tree
from .pictures import samples

PIXELS = {
    "sample_size": 32,
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}
WORDS = ["<|startoftext|>", "<|endoftext|>", *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz ")]


class Drawn:
    """Noise in the order in which diffusers draws it."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def like(self, x: torch.Tensor) -> torch.Tensor:
        return torch.randn(x.shape, generator=self.generator)


def opened(path: str | Path) -> Any:
    """The denoiser at a path."""
    return load_prior(find_prior(str(path)), torch.device("cpu"), "float32")


def reason(path: str, load: bool = False) -> str:
    """Why there is none, as it is opened or loaded."""
    with pytest.raises(RestorekitError) as caught:
        opened(path) if load else find_prior(path)
    return str(caught.value)


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


def check_restores(prior: str, task: str) -> None:
    """One photo, whole and in windows, and a folder that goes on where it stopped."""
    for name in ("a", "b"):
        save(f"in/{name}.png", samples(3, size=(40, 48)))
    how = f"{task} --prior {prior} --quiet"
    assert run(f"{how} in/a.png -o whole.png") == 0
    assert run(f"{how} in/a.png -o windows.png --tile 32") == 0
    whole, windows = (images.read(f"{name}.png").pixels for name in ("whole", "windows"))
    assert whole.shape == (40, 48, 3) and not np.array_equal(whole, windows)
    assert run(f"{how} in -o out --include a.png") == 0
    assert list(tree("out")) == ["a.png"]
    before = Path("out/a.png").stat().st_mtime_ns
    assert run(f"{how} in -o out") == 0
    assert sorted(tree("out")) == ["a.png", "b.png"]
    assert Path("out/a.png").stat().st_mtime_ns == before
    assert np.array_equal(images.read("out/a.png").pixels, whole)


def unet(**settings: Any) -> Any:
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    return UNet2DModel(**{**PIXELS, **settings}).eval()


def pixels(folder: Path, network: Any = None, **scheduler: Any) -> Any:
    """A DDPM pipeline, and its folder."""
    from diffusers import DDPMPipeline, DDPMScheduler

    pipeline = DDPMPipeline(network or unet(), DDPMScheduler(**scheduler))
    pipeline.save_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stable_diffusion(folder: Path, **scheduler: Any) -> Any:
    """A pipeline of Stable Diffusion for inpainting, and the folder of its text-to-image one."""
    import transformers
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionInpaintPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=[32, 32, 64],
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
        latent_channels=4,
        sample_size=64,
    ).eval()
    with torch.no_grad():  # a posterior so narrow that a draw of it is its mean
        vae.quant_conv.bias[4:] = -60
        vae.quant_conv.weight[4:] = 0
    parts = {
        "unet": UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(32, 64),
            layers_per_block=1,
            in_channels=4,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=8,
        ).eval(),
        "vae": vae,
        "text_encoder": CLIPTextModel(
            CLIPTextConfig(
                hidden_size=32,
                intermediate_size=37,
                num_attention_heads=4,
                num_hidden_layers=2,
                vocab_size=len(WORDS),
                max_position_embeddings=16,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
            )
        ).eval(),
    }
    text = folder / "tokenizer"
    text.mkdir(parents=True)
    (text / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(WORDS)}))
    (text / "merges.txt").write_text("#version: 0.2\n")
    (text / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 16}))
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    chain = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        steps_offset=1,
        **scheduler,
    )
    chain.save_pretrained(folder / "scheduler")
    pipeline = StableDiffusionInpaintPipeline(
        **parts,
        tokenizer=CLIPTokenizer.from_pretrained(str(text)),
        scheduler=chain,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
