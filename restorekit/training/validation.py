"""What a prior is worth, on held-out photos: PSNR at three noise levels and the error curve."""

from __future__ import annotations

import math

import torch

from ..engine.denoiser import NetworkDenoiser
from .data import Photos, to_unit

SIGMAS = (15, 25, 50)  # of 255
CURVE = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0, 20.0, 50.0, 150.0)


@torch.no_grad()
def mean_squared_error(
    denoiser: NetworkDenoiser, photos: Photos, noise_to_signal: float, device: str, side: int
) -> torch.Tensor:
    """E|x_0 - E[x_0 | x_t]|^2 of each held-out crop, (N,)."""
    x_0 = to_unit(photos.validation(32, side)).to(device)
    source = torch.Generator().manual_seed(0)
    eps = torch.randn(x_0.shape, generator=source).to(device)
    t = denoiser.schedule.time_for(noise_to_signal)
    x_t = denoiser.schedule.diffuse(x_0, t, eps)
    errors = [
        (denoiser(x, t).x_0 - y).square().flatten(1).mean(1)
        for x, y in zip(x_t.split(8), x_0.split(8), strict=True)
    ]
    return torch.cat(errors)


def scores(denoiser: NetworkDenoiser, photos: Photos, device: str) -> dict[str, float]:
    """Mean PSNR in dB at sigma 15, 25 and 50 (of 255), one network evaluation each."""
    found = {}
    for sigma in SIGMAS:
        mse = mean_squared_error(denoiser, photos, 2 * sigma / 255, device, side=128)
        found[f"psnr_{sigma}"] = round((10 * torch.log10(4 / mse)).mean().item(), 3)
    return found


def error_curve(
    denoiser: NetworkDenoiser, photos: Photos, device: str
) -> list[tuple[float, float]]:
    """Pairs (noise-to-signal, mean squared error on [-1, 1]) over the whole range of noise."""
    largest = denoiser.schedule.noise_to_signal(1.0).item()
    curve = []
    for ratio in CURVE:
        if ratio <= largest:
            error = mean_squared_error(denoiser, photos, ratio, device, side=128).mean().item()
            if math.isfinite(error):
                curve.append((ratio, error))
    return curve
