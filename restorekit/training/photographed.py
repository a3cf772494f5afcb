"""Crops as cameras, film and files would have them: noise nobody prepared, in random order.

As SCUNet (Zhang et al. 2023), BSRGAN (Zhang et al. 2021) and CBDNet (Guo et al. 2019) do: what the
sensor adds goes through a simple camera, is smoothed, enlarged and compressed, once or twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .. import camera
from ..engine.noise import Noise

MARGIN = 16  # pixels around a crop that it is photographed with
COMPRESSED = 0.8  # share of crops that come as JPEGs
COMPRESSED_ONLY = 0.5  # share of crops whose only fault is the file's
# Share of the sensors' noise that their camera has smoothed: that of real files has neighbours
# correlated by some 0.6 in luma and 0.9 in chroma, where mosaics alone leave 0.4 and 0.5.
SMOOTHED = 0.75
SOFT = 0.5  # share of the noisy crops that are as soft as photos at their full size

Part = Callable[[Tensor, np.random.Generator, Noise], Tensor]


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def as_taken(x: Tensor, rng: np.random.Generator) -> Tensor:
    """A clean crop as soft as a camera's own pixels.

    Lenses, demosaicing and small chroma leave a photo at its full size far softer than the reduced
    ones that collections hold; a network that has seen only those keeps noise for detail.
    """
    if rng.random() < 0.4:
        x = camera.resized(x, rng.uniform(1.2, 2.2)).clamp(0, 1)
    return camera.softened(x, rng.uniform(0, 1.0), rng.uniform(0.3, 2.5))


def by_sensor(x: Tensor, rng: np.random.Generator, noise: Noise) -> Tensor:
    """Shot and read noise as they go together in real sensors (Brooks et al. 2019, eq. 4).

    Most cameras smooth it before they write a file, its colours the most: then it is correlated,
    and depends on the tone as well.
    """
    shot = log_uniform(rng, 1e-4, 0.02)
    read = math.exp((2.18 * math.log(shot) + 1.2 + rng.normal(0, 0.26)) / 2)
    balance = rng.uniform(1.2, 2.4), 1.0, rng.uniform(1.2, 2.4)
    mosaic = bool(rng.random() < 0.75)
    seen = camera.sensor(x, shot, read, noise.normal, balance=balance, mosaic=mosaic)
    if rng.random() < SMOOTHED:
        widths = rng.uniform(0.1, 1.1), log_uniform(rng, 0.9, 3.5)
        seen = x + camera.softened(seen, *widths) - camera.softened(x, *widths)
    return seen


def by_smoothing(x: Tensor, rng: np.random.Generator, noise: Noise) -> Tensor:
    """What denoising in the camera, scanning or resizing leaves: correlated, chroma the coarser."""
    return camera.coloured(
        x,
        log_uniform(rng, 1.5, 40) / 255,
        noise.normal,
        luma_width=rng.uniform(0, 1.4),
        chroma_width=rng.uniform(0, 4),
        chroma=0.0 if rng.random() < 0.35 else log_uniform(rng, 0.2, 2),
    )


def by_grain(x: Tensor, rng: np.random.Generator, noise: Noise) -> Tensor:
    sigma = log_uniform(rng, 2, 50) / 255
    return camera.grain(x, sigma, noise.normal, width=rng.uniform(0.3, 1.6))


def by_white(x: Tensor, rng: np.random.Generator, noise: Noise) -> Tensor:
    return camera.white(x, log_uniform(rng, 1.5, 40) / 255, noise.normal)


SOURCES: tuple[tuple[float, Part], ...] = (
    (0.40, by_sensor),
    (0.25, by_smoothing),
    (0.25, by_grain),
    (0.10, by_white),
)


def compressed(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Once, or twice on another grid, at any quality; mostly with chroma at half the size."""
    passes = 2 if rng.random() < 0.15 else 1
    for number in range(passes):
        quality = int(rng.integers(60, 98) if rng.random() < 0.5 else rng.integers(8, 60))
        sampling = "4:2:0" if rng.random() < 0.7 else "4:4:4"
        shift = (0, 0) if number == 0 else tuple(int(s) for s in rng.integers(0, 8, 2))
        moved = x.roll(shift, (2, 3))
        x = camera.jpeg(moved, quality, sampling).roll((-shift[0], -shift[1]), (2, 3))
    return x


def photographed(
    crop: np.ndarray,
    side: int,
    rng: np.random.Generator,
    noise: Noise,
    jpegs: float = COMPRESSED,
) -> tuple[Tensor, Tensor]:
    """A clean crop and what a camera, a film or a file would have made of it.

    Args:
        crop: (S, S, 3) uint8, S at least `side` + 2 MARGIN, so that edges and the place of a
            JPEG's grid are those of larger pictures. Many come softened or enlarged, both of them.
        side: of what is given back.
        rng, noise: every choice and every normal.
        jpegs: share of crops that are compressed.

    Returns:
        Two (3, side, side) float32 on [-1, 1]: the clean crop and the photographed one.
    """
    x = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].float() / 255
    seen = x
    compress = rng.random() < jpegs
    if not (compress and rng.random() < COMPRESSED_ONLY):
        if rng.random() < SOFT:
            x = as_taken(x, rng)
        shares = [share for share, _ in SOURCES]
        part = SOURCES[int(rng.choice(len(SOURCES), p=shares))][1]
        seen = part(x, rng, noise)
        if (crop[..., :1] == crop).all():  # of black and white, the noise has no colour either
            seen = x + (seen - x)[:, :1]
        if rng.random() < 0.25:
            factor = rng.uniform(1.1, 2.0)
            x, seen = (camera.resized(p, factor).clamp(0, 1) for p in (x, camera.eight_bit(seen)))
    if compress:
        seen = compressed(seen, rng)
    # Mostly as the file's grid lies, which the network may come to know; else anywhere.
    top, left = (MARGIN, MARGIN) if rng.random() < 0.6 else rng.integers(MARGIN, 2 * MARGIN, 2)
    clean, seen = (p[0, :, top : top + side, left : left + side] for p in (x, seen))
    return clean * 2 - 1, camera.eight_bit(seen) * 2 - 1
