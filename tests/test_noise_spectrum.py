"""The colour of noise is found again where it is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from restorekit import images
from restorekit.engine.covariance import Coloured, opponent
from restorekit.engine.noise import Noise
from restorekit.noise_level.spectrum import dct, dct_variances, estimate_covariance, every
from restorekit.units import to_engine

from .conftest import SAMPLES

SIZE = (256, 256)


def camera(strength: float) -> Coloured:
    """Fine and coarse noise in luma, blotches of 2 pixels in colour; about 5, 2 and 2 of 255."""
    down, across = (torch.fft.fftfreq(n, dtype=torch.float64) for n in SIZE)
    square = down[:, None] ** 2 + across**2

    def blurred(pixels: float) -> torch.Tensor:
        return torch.exp(-((2 * np.pi * pixels) ** 2) * square / 2)

    luma, chroma = 5 + 100 * blurred(1.0), 0.2 + 80 * blurred(2.0)
    return Coloured(strength**2 * torch.stack([luma, chroma, chroma]) / 127.5**2)


def smooth() -> torch.Tensor:
    """Shades, two edges and a disc."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (x - 100) ** 2 + (y - 100) ** 2 < 3600
    red = 110 + 60 * np.sin(x / 70) + 40 * (y > 128)
    green = 90 + 50 * np.cos(y / 90) + 30 * (x > 200)
    return to_engine(np.stack([red, green, 120 + 0.2 * x - 20 * disc], 2) / 255).double()


@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_known_noise_on_a_smooth_picture(strength: float) -> None:
    n = camera(strength).draw(Noise(0), torch.zeros(1, 3, *SIZE, dtype=torch.float64))
    basis = dct(8)
    wanted = np.square(basis @ every(opponent(n)[0].numpy()) @ basis.T).mean(0)
    found = dct_variances(opponent(smooth() + n)[0].numpy())
    ratio = np.sqrt(found / wanted)
    assert (np.abs(np.log(ratio[:, 2:, 2:])) < 0.2).all()  # of single coefficients
    assert np.abs(np.log(ratio[:, 2:, 2:])).mean() < 0.06
    assert (np.abs(np.log(ratio[:, 0, 1])) < 0.3).all()  # the longest waves, with the shades


def test_known_noise_on_a_photo() -> None:
    """Its whole deviation is found within a third, and that colour's is the smaller and coarser."""
    clean = to_engine(images.read(SAMPLES / "photos" / "coffee.png").rgb8()[:256, :256]).double()
    truth = camera(2.0)
    found = estimate_covariance(clean + truth.draw(Noise(0), clean))
    deviations = [c.power.mean((1, 2)).sqrt() for c in (found, truth)]
    assert (deviations[0] / deviations[1]).log().abs().max() < np.log(4 / 3)
    fine = found.power[:, 128, 128] / found.power[:, 0, 0]
    assert fine[0] > 2 * fine[1] and fine[0] > 2 * fine[2]


def test_no_noise_and_no_patches_are_found_as_none() -> None:
    assert dct_variances(np.zeros((3, 64, 64))).max() == 0
    assert dct_variances(np.ones((1, 9, 64))).max() == 0
