"""What a prior is worth: PSNR on held-out photos at three noise levels."""

from __future__ import annotations

import torch

from ..engine.denoiser import NetworkDenoiser
from .data import Photos, to_unit

SIGMAS = (15, 25, 50)  # of 255


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
