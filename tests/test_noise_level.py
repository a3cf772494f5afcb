"""The estimate of the noise holds on pictures that it was not trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from restorekit_denoise.trial import with_noise
from skimage import data

import restorekit
from restorekit import camera
from restorekit.engine.noise import Noise
from restorekit.noise_level import estimate

PHOTOS = {
    "cat": data.chelsea()[40:232, 100:340],
    "coffee": data.coffee()[100:292, 200:440],
    "rocket": data.rocket()[100:292, 200:440],
}


def unit(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def photographed(x: torch.Tensor, kind: str, level: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture with noise of a kind, and the same without."""
    noise = Noise(0, kind)
    if kind == "camera":
        return camera.eight_bit(with_noise(x, level, kind, noise)), x
    noisy = camera.white(x, level, noise.normal)
    if kind == "jpeg":
        return camera.jpeg(noisy, 95), x
    if kind == "enlarged":
        return camera.resized(noisy, 1.5), camera.resized(x, 1.5)
    return noisy, x


@pytest.mark.parametrize(
    ("kind", "within"), [("white", 0.2), ("enlarged", 0.2), ("camera", 0.4), ("jpeg", 0.6)]
)
def test_noise_of_every_kind_is_found(kind: str, within: float) -> None:
    """Eigenvalues of patches found 1 to 10 % of the last two. Never more than half too much."""
    errors = []
    for pixels in PHOTOS.values():
        x = unit(pixels)
        for level in (5 / 255, 10 / 255, 25 / 255):
            noisy, clean = photographed(x, kind, level)
            true = float((noisy - clean).square().mean().sqrt())
            errors.append(estimate(noisy * 2 - 1).level / true - 1)
    assert np.abs(errors).mean() < within
    assert max(errors) < 0.5


def test_clean_small_grey_and_large_pictures() -> None:
    """Any size; a grey picture has no noise in colour; a large one is looked at in parts."""
    ramp = torch.linspace(-0.9, 0.9, 200).expand(1, 3, 120, 200)
    assert estimate(ramp).level < 1 / 255
    eps = Noise(0).normal((1, 1, 1500, 1300))
    found = estimate(eps * 2 * 10 / 255 - 0.2)
    assert found.colour == 0 and 4 / 255 < found.grey < 15 / 255
    for size in ((1, 1), (7, 300), (33, 9)):
        assert 0 <= estimate(torch.zeros(1, 3, *size)).level < 4 / 255  # few pixels tell little


def test_colour_and_shadows_are_told_apart() -> None:
    """Noise in colour alone is found there, and where it is stronger."""
    shade = torch.linspace(-0.8, 0.8, 256).expand(1, 3, 256, 256)
    eps = Noise(0).normal((1, 3, 256, 256))
    found = estimate(shade + 0.1 * (eps - eps.mean(1, keepdim=True)))
    assert found.colour > 1.3 * found.grey
    dark = estimate(shade + 0.1 * eps * (shade < -0.2))
    assert dark.darkest > 2 * dark.brightest


ICON = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
CHECKERS = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)


@pytest.mark.parametrize(
    ("pixels", "doubt"), [(ICON, "too small"), (CHECKERS, "dithering")], ids=["icon", "checkers"]
)
def test_what_may_be_texture_is_left_alone(pixels: np.ndarray, doubt: str) -> None:
    """Icons and dots: they are told, and enlarged as they are."""
    found = estimate(unit(pixels) * 2 - 1)
    assert doubt in found.doubt and found.known == 0 and found.level <= 0.3
    assert np.array_equal(restorekit.restore("denoise", pixels), pixels)
    large, plain = (
        restorekit.restore("superres", pixels, scale=2, steps=1, **how)
        for how in ({}, {"strength": 0})
    )
    assert np.array_equal(large, plain)


def test_long_pictures_are_looked_at_in_the_middle_too() -> None:
    """A panorama under a clean sky, and a strip beside a clean margin."""
    noisy = np.full((1000, 12_000, 3), 128.0, np.float32)
    noisy[300:] += 20 * np.random.default_rng(0).standard_normal((700, 12_000, 3))
    wide = torch.from_numpy(noisy).permute(2, 0, 1)[None] / 127.5 - 1
    for x in (wide, wide.transpose(2, 3)):
        assert 255 * estimate(x).level > 8
