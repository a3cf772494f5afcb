"""The network that estimates noise; see `restorekit/noise_level`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ... import camera, noise_level
from ...engine.noise import Noise
from ...errors import RestorekitError
from ...noise_level.network import CELL, Answer, NoiseNetwork, loss
from .. import photographed as photographing
from ..data import Photos
from ..settings import Settings
from .small import Seeds, SmallGoal

GRAIN = 0.4  # share of grain in plain noise
PLAIN = 0.4  # share of crops with plain noise, which nothing has photographed
CLEAN = 0.35  # share of those without any
JPEGS = 0.4  # share that is photographed as JPEGs
SAVED = 0.4  # share that is then saved as a good one
CROPS = 64  # that are asked about in a validation
LEAST = 2 * 2 / 255  # deviation on [-1, 1] that counts there


class NoiseLevelGoal(SmallGoal):
    """How strong the faults of a picture are."""

    stem = "noise_level"
    judged = "relative_error"
    finds = "Says how noisy a photo is, for `denoise --sigma auto`:"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        if settings.crop % CELL:
            raise RestorekitError(f"crop must be a multiple of {CELL} for noise_level")

    def shipped(self) -> Path:
        return noise_level.WEIGHTS

    def network(self) -> nn.Module:
        return NoiseNetwork()

    def photos(self, folder: Path, cache: Path, **how: Any) -> Photos:
        wide = self.settings.crop + 2 * photographing.MARGIN
        names = ("scales", "held_out", "grey", "faded", "seed")
        return Photos(folder, cache, wide, **{n: getattr(self.settings, n) for n in names}, **how)

    def faulty(self, crops: Sequence[np.ndarray], seeds: Seeds) -> tuple[Tensor, ...]:
        """Crops on [-1, 1] and their faults, both (B, 3, S, S)."""
        pairs = [self.example(crop, seed) for crop, seed in zip(crops, seeds, strict=True)]
        clean, seen = (torch.stack(part) for part in zip(*pairs, strict=True))
        return seen, seen - clean

    def example(self, crop: np.ndarray, seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """A crop as it is, and with its faults."""
        rng, noise = np.random.default_rng(seed), Noise(seed[0], " ".join(map(str, seed[1:])))
        side = self.settings.crop
        clean, seen = photographing.photographed(crop, side, rng, noise, JPEGS)
        if rng.random() < PLAIN:
            seen = with_plain(clean, rng, noise)
        if rng.random() < SAVED:
            seen = as_saved(seen, rng)
        return clean, seen

    def loss(self, network: nn.Module, *given: Tensor) -> Tensor:
        seen, faults = given
        parts = tuple(part.float() for part in self.answered(network, seen))
        return loss(parts, faults) * len(seen)

    @torch.no_grad()
    def scores(
        self, network: nn.Module, photos: Photos, device: str, picture: Path
    ) -> dict[str, float]:
        """The mean relative error of the level, where there is any to speak of."""
        seen, faults = self.validation(photos, CROPS)
        errors = []
        for x, fault in zip(seen.to(device).split(8), faults.split(8), strict=True):
            answer = Answer(*(part.float().flatten(2) for part in self.answered(network, x)))
            told = answer.level().exp().sum(1).sqrt().cpu()
            true = fault.square().sum(1).mean((1, 2)).div(3).sqrt()
            errors.append((told / true - 1).abs()[true > LEAST])
        return {self.judged: round(torch.cat(errors).mean().item(), 3)}


def with_plain(clean: Tensor, rng: np.random.Generator, noise: Noise) -> Tensor:
    """White noise of any level on (3, H, W), or on its grey alone, or grain; sometimes none."""
    if rng.random() < GRAIN:
        grainy = photographing.by_grain(clean[None] / 2 + 0.5, rng, noise)
        return grainy[0].clamp(0, 1) * 2 - 1
    sigma = photographing.log_uniform(rng, 1 / 255, 120 / 255) if rng.random() >= CLEAN else 0.0
    colourless = bool((clean[:1] == clean).all())
    channels = 1 if rng.random() < (0.8 if colourless else 0.15) else 3
    return clean + sigma * noise.normal((channels, *clean.shape[1:]))


def as_saved(seen: Tensor, rng: np.random.Generator) -> Tensor:
    """As a JPEG of a phone or of an editor, which keeps most of the noise, but half its colour."""
    sampling = "4:2:0" if rng.random() < 0.7 else "4:4:4"
    quality = int(rng.integers(70, 99))
    return camera.jpeg(seen[None] / 2 + 0.5, quality, sampling)[0] * 2 - 1
