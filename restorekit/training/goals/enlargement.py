"""The network that guesses at larger photos; see `restorekit/enlargement`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ... import camera, enlargement, images
from ...engine.noise import Noise
from ...engine.operators import Resample
from ...enlargement.network import FACTORS, EnlargementNetwork
from ...errors import RestorekitError
from ...units import from_engine
from ..data import Photos, to_unit
from ..photographed import log_uniform
from ..settings import Settings
from ..validation import sheet
from .small import Seeds, SmallGoal, relative

NOISY = 0.2  # share of crops that are told of noise
LESS = 0.6  # share of those that have less than they are told
COMPRESSED = 0.15  # share of crops that come as JPEGs
QUALITIES = 70, 98  # of these
SIGMAS = 0.5, 15.0  # that are told, of 255
SHARES = (0.4, 0.25, 0.35)  # of the steps for each of FACTORS
CROPS, SHOWN = 32, 4  # held-out crops that are enlarged, and drawn


class EnlargementGoal(SmallGoal):
    """What a bicubic enlargement of a reduced photo lacks."""

    stem = "enlargement"
    judged = "psnr_x4"
    finds = "Guesses at a larger photo, which `superres` begins with:"
    judged_on = ", reduced and otherwise as they are"
    more = ("rotate",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        if settings.crop % (multiple := math.lcm(*FACTORS)):
            raise RestorekitError(f"crop must be a multiple of {multiple} for enlargement")

    def shipped(self) -> Path:
        return enlargement.WEIGHTS

    def network(self) -> nn.Module:
        return EnlargementNetwork()

    def faulty(self, crops: Sequence[np.ndarray], seeds: Seeds) -> tuple[Tensor, ...]:
        """Crops reduced by a step's factor, with faults; their level; what bicubic lacks."""
        factor = int(np.random.default_rng(seeds[0][:2]).choice(FACTORS, p=SHARES))
        x_0 = to_unit(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2))
        y = reduced(x_0, factor)
        seen, told = zip(*map(with_faults, y, seeds), strict=True)
        y = torch.stack(seen)
        return y, torch.tensor(told), x_0 - bicubic(y, factor)

    def loss(self, network: nn.Module, *given: Tensor) -> Tensor:
        """See `relative`."""
        y, told, lacking = given
        factor = lacking.shape[2] // y.shape[2]
        error = self.answered(network, y, told, factor).float() - lacking
        return relative(error, lacking)

    @torch.no_grad()
    def scores(
        self, network: nn.Module, photos: Photos, device: str, picture: Path
    ) -> dict[str, float]:
        """Mean PSNR in dB of reduced crops without noise; and a sheet of the last factor's."""
        x_0 = to_unit(photos.validation(CROPS, photos.crop))
        found = {}
        for factor in FACTORS:
            y = reduced(x_0, factor)
            given = y.to(device), torch.zeros(len(y), device=device), factor
            base = bicubic(y, factor)
            x = (base + self.answered(network, *given).float().cpu()).clamp(-1, 1)
            errors = (x - x_0).square().flatten(1).mean(1)
            found[f"psnr_x{factor}"] = round((10 * torch.log10(4 / errors)).mean().item(), 3)
        shown = torch.stack([x_0, base, x], dim=1)[:SHOWN].flatten(0, 1)
        picture.parent.mkdir(parents=True, exist_ok=True)
        images.write(picture, images.Photo(from_engine(sheet(shown, 3), np.dtype(np.uint8))))
        return found


def reduced(x_0: Tensor, factor: int) -> Tensor:
    """Crops at a fraction of their size, in steps of 8 bits as a file has them."""
    size, small = x_0.shape[2:], [side // factor for side in x_0.shape[2:]]
    y = Resample((size[0], size[1]), (small[0], small[1]))(x_0)
    return to_unit(y.add(1).mul(127.5).round().clamp(0, 255)).contiguous()


def bicubic(y: Tensor, factor: int) -> Tensor:
    """By bicubic interpolation, which the network's answer is added to."""
    h, w = y.shape[2:]
    return Resample((h, w), (h * factor, w * factor))(y)


def with_faults(y: Tensor, seed: tuple[int, ...]) -> tuple[Tensor, float]:
    """A reduced crop (3, h, w) as it may come, mostly as it is, and the level that is told of it.

    White noise, or less than is told, or none; or what a good JPEG does, which is told at its root
    mean square, or not at all where nobody would find it.
    """
    rng = np.random.default_rng(seed)
    kind = rng.random()
    if kind < NOISY:
        told = 2 / 255 * log_uniform(rng, *SIGMAS)
        share = max(rng.uniform(-0.5, 1.0), 0.0) if rng.random() < LESS else 1.0
        eps = Noise(seed[0], " ".join(map(str, seed))).normal(tuple(y.shape))
        return y + share * told * eps, told
    if kind < NOISY + COMPRESSED:
        quality, sampling = int(rng.integers(*QUALITIES)), rng.choice(["4:2:0", "4:4:4"])
        coded = camera.jpeg(y[None] / 2 + 0.5, quality, str(sampling))[0] * 2 - 1
        level = float((coded - y).square().mean().sqrt())
        return coded, level if rng.random() < 0.5 else 0.0
    return y, 0.0
