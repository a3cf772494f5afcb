"""What a prior is worth: PSNR and bits on held-out photos, and pictures to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import images, soundness
from ..engine.denoiser import NetworkDenoiser
from ..engine.losses import bits_per_dimension
from ..engine.noise import Noise
from ..engine.sampler import STEPS, karras, sample, times_for
from ..units import from_engine
from .data import Photos, to_unit

SIGMAS = (15, 25, 50)  # of 255
CROPS, SIDE, ROWS = 32, 128, 4
BOUND_CROPS, BOUND_TERMS = 16, 25
CHECKED_CROPS = 4
SAMPLES, SAMPLE_STEPS = 16, 25


def noisy(x_0: Tensor, sigma: float, denoiser: NetworkDenoiser) -> tuple[Tensor, Tensor]:
    """x_t of crops with noise of deviation `sigma` of 255, always the same, and its t."""
    t = denoiser.schedule.time_for(2 * sigma / 255)
    eps = Noise(0, f"sigma {sigma}").like(x_0)
    return denoiser.schedule.diffuse(x_0, t, eps), t


@torch.no_grad()
def scores(denoiser: NetworkDenoiser, photos: Photos, device: str) -> dict[str, float]:
    """Mean PSNR in dB at sigma 15, 25 and 50, one evaluation each, bits per dimension, soundness.

    The bits are the variational bound on crops of the training's size, from a few of its terms;
    soundness is `soundness.figures` of the quick check, on a few crops of that size.
    """
    x_0 = to_unit(photos.validation(CROPS, SIDE)).to(device)
    found = {}
    for sigma in SIGMAS:
        x_t, t = noisy(x_0, sigma, denoiser)
        errors = [
            (denoiser(x, t).x_0 - y).square().flatten(1).mean(1)
            for x, y in zip(x_t.split(8), x_0.split(8), strict=True)
        ]
        found[f"psnr_{sigma}"] = round((10 * torch.log10(4 / torch.cat(errors))).mean().item(), 3)
    crops = to_unit(photos.validation(BOUND_CROPS, photos.crop)).to(device)
    bits = bits_per_dimension(denoiser, crops, Noise(0, "bits").like, steps=BOUND_TERMS)
    found |= {"bits_per_dimension": round(bits.mean().item(), 3)}
    checked = (crops[:CHECKED_CROPS].cpu() + 1) / 2
    rows = soundness.check(denoiser, checked, soundness.quick(), device=device)
    return found | soundness.figures(list(rows))


@torch.no_grad()
def draw(denoiser: NetworkDenoiser, photos: Photos, device: str, path: Path) -> None:
    """Two PNGs: held-out crops, noisy and denoised at every sigma; and, below `path`, samples."""
    crops = photos.validation(CROPS, SIDE)
    x_0 = to_unit(crops[:: max(1, len(crops) // ROWS)][:ROWS]).to(device)
    columns = [x_0]
    for sigma in SIGMAS:
        x_t, t = noisy(x_0, sigma, denoiser)
        columns += [x_t / float(denoiser.schedule(t)[0]), denoiser(x_t, t).x_0]
    denoised = torch.stack(columns, dim=1).flatten(0, 1)
    times = times_for(
        denoiser.schedule,
        SAMPLE_STEPS,
        grid=karras,
        end=float(denoiser.schedule.time_for(0.02)),
    )
    noise = Noise(0, "samples")
    x_t = noise.normal((SAMPLES, denoiser.channels, photos.crop, photos.crop)).to(device)
    samples = sample(denoiser, x_t, times, step=STEPS["dpmpp_2m"], noise=noise)
    path.parent.mkdir(parents=True, exist_ok=True)
    for target, pictures, across in (
        (path, denoised, len(columns)),
        (path.with_name(f"{path.stem}-samples.png"), samples, 8),
    ):
        images.write(target, images.Photo(from_engine(sheet(pictures, across), np.dtype(np.uint8))))


def sheet(pictures: Tensor, across: int) -> Tensor:
    """(N, C, H, W) as one picture (1, C, rows H, across W), row by row; N a multiple of across."""
    n, c, h, w = pictures.shape
    grid = pictures.reshape(n // across, across, c, h, w).permute(2, 0, 3, 1, 4)
    return grid.reshape(1, c, n // across * h, across * w)
