"""The noise of cameras, film and files has the deviation, colour and correlation it claims."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from restorekit import camera
from restorekit.engine.noise import Noise
from restorekit.errors import RestorekitError
from restorekit.training import photographed


def added(x: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
    return (noisy - x)[..., 8:-8, 8:-8]


def neighbours(noise: torch.Tensor) -> float:
    """Correlation of pixels side by side."""
    a, b = noise[..., 1:], noise[..., :-1]
    return float((a * b).mean() / (a.std() * b.std()))


def test_sensor_noise_without_mosaic_is_poisson_gaussian() -> None:
    """On a linear picture, without gains, its variance is shot * x + read^2, through gamma."""
    from kornia.color import linear_rgb_to_rgb, rgb_to_linear_rgb

    for level in (0.05, 0.5):
        x = linear_rgb_to_rgb(torch.full((1, 3, 256, 256), level))
        noisy = camera.sensor(x, 1e-3, 0.01, Noise(0).normal, balance=(1.0, 1.0, 1.0), mosaic=False)
        raw = added(torch.full_like(x, level), rgb_to_linear_rgb(noisy))
        assert raw.var().item() == pytest.approx(1e-3 * level + 1e-4, rel=0.03)
        assert abs(neighbours(raw)) < 0.02


def test_a_mosaic_correlates_and_changes_no_clean_picture() -> None:
    x = torch.rand(1, 3, 1, 1).expand(1, 3, 128, 128) * 0.5 + 0.2
    noisy = camera.sensor(x, 1e-3, 0.01, Noise(0).normal)
    assert neighbours(added(x, noisy)) > 0.2
    textured = torch.rand(1, 3, 63, 65, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(camera.sensor(textured, 0.0, 0.0, Noise(0).normal), textured)


def test_a_camera_smooths_its_noise_and_colours_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a middle grey; and it makes the picture no lighter or darker."""
    from kornia.color import rgb_to_ycbcr

    x = torch.full((1, 3, 256, 256), 0.5)
    found = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(photographed, "SMOOTHED", share)
        seen = [photographed.by_sensor(x, np.random.default_rng(n), Noise(n)) for n in range(3)]
        noise = [rgb_to_ycbcr(s.clamp(0, 1))[..., 8:-8, 8:-8] for s in seen]
        luma, blue = (
            np.mean([neighbours(n[:, [c]] - n[:, [c]].mean()) for n in noise]) for c in (0, 1)
        )
        found.append((luma, blue))
        assert all(abs(float(s.mean()) - 0.5) < 0.1 * float(s.std()) + 0.01 for s in seen)
    (plain_luma, plain_blue), (luma, blue) = found
    assert luma > plain_luma + 0.1 and blue > plain_blue + 0.1 and blue > luma


def test_coloured_noise_and_grain() -> None:
    x = torch.full((1, 3, 256, 256), 0.5)
    noisy = camera.coloured(x, 0.05, Noise(0).normal, luma_width=1.0, chroma=0.0)
    noise = added(x, noisy)
    assert noise.square().mean().sqrt().item() == pytest.approx(0.05, rel=0.03)
    assert (noise[:, :1] - noise).abs().max() < 1e-6, "no colour"
    assert neighbours(noise) == pytest.approx(0.78, abs=0.04)  # exp(-1 / (4 width^2))
    assert abs(neighbours(added(x, camera.white(x, 0.05, Noise(0).normal)))) < 0.02
    for tone, share in ((0.5, 1.0), (0.0, 0.2)):
        flat = torch.full((1, 3, 256, 256), tone)
        grain = added(flat, camera.grain(flat, 0.05, Noise(0).normal))
        assert grain.std().item() == pytest.approx(0.05 * share, rel=0.05)


def test_jpeg_is_the_codecs() -> None:
    """The better the quality the nearer; grey stays grey; chroma loses by subsampling."""
    x = camera.resized(torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0)), 4)
    x = camera.eight_bit(x)
    errors = [(camera.jpeg(x, q) - x).square().mean().item() for q in (10, 50, 90)]
    assert errors == sorted(errors, reverse=True) and errors[-1] > 0
    fine = (camera.jpeg(x, 90, "4:4:4") - x).square().mean().item()
    assert fine < errors[-1]
    grey = camera.jpeg(x[:, :1].expand(-1, 3, -1, -1), 30)
    assert (grey[:, :1] == grey).all()
    with pytest.raises(RestorekitError, match="4:2:0"):
        camera.jpeg(x, 90, "4:1:1")
