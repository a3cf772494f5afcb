"""The network that guesses at larger photos: better than bicubic, and never wild."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

from restorekit import camera, enlargement, memory, plugins, restore
from restorekit.choices import Choices
from restorekit.engine.noise import Noise
from restorekit.engine.operators import Resample
from restorekit.engine.sampler import Cancelled
from restorekit.enlargement import enlarged
from restorekit.errors import RestorekitError
from restorekit.given import resolve
from restorekit.restorer import Restorer
from restorekit.shot import Shot

PHOTOS = {
    "cat": data.chelsea()[40:232, 100:340],
    "coffee": data.coffee()[100:292, 200:440],
    "rocket": data.rocket()[100:292, 200:440],
}


def engine(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def rounded(x: torch.Tensor) -> torch.Tensor:
    return ((x + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def psnr(x: torch.Tensor, y: torch.Tensor) -> float:
    error = (x.clamp(-1, 1) - y)[..., 8:-8, 8:-8].square().mean()
    return float(10 * torch.log10(4 / error))


def gains(scale: float, sigma: float = 0.0, told: float = 0.0, light: float = 1.0) -> list[float]:
    """Over bicubic enlargement, of each photo with that noise, dB."""
    found = []
    for name, pixels in PHOTOS.items():
        x = (engine(pixels) + 1) * light - 1
        h, w = (round(side / scale) for side in x.shape[2:])
        size = int(x.shape[2]), int(x.shape[3])
        y = rounded(Resample(size, (h, w))(x) + sigma * Noise(0, name).normal((1, 3, h, w)))
        bicubic = Resample((h, w), size)(y)
        found.append(psnr(enlarged(y, size, told), x) - psnr(bicubic, x))
    return found


@pytest.mark.parametrize("scale", [1.5, 2.0, 2.5, 3.0, 4.0, 5.3, 8.0])
def test_any_factor_is_better_than_bicubic(scale: float) -> None:
    found = gains(scale)
    assert min(found) > 0 and np.mean(found) > (1.0 if scale < 5 else 0.5)


@pytest.mark.parametrize("light", [1.0, 0.1])
@pytest.mark.parametrize(("sigma", "told"), [(0, 5), (0, 15), (2, 10), (5, 5), (10, 10), (3, 0)])
def test_noise_is_told_as_an_upper_bound(sigma: float, told: float, light: float) -> None:
    """Of 255; and a little of it that nobody knows does no more harm than it must."""
    found = gains(2.0, sigma * 2 / 255, told * 2 / 255, light)
    assert min(found) > (0.0 if told else -0.5 if light == 1 else -2.0)


@pytest.mark.parametrize("quality", [95, 85, 75])
def test_what_a_jpeg_left_is_not_made_worse(quality: int) -> None:
    """Where nobody told of it: better in the mean, and hardly worse for any."""
    found = []
    for pixels in PHOTOS.values():
        x = engine(pixels)
        small = Resample((192, 240), (96, 120))(x)
        y = camera.jpeg((rounded(small) + 1) / 2, quality) * 2 - 1
        bicubic = Resample((96, 120), (192, 240))(y)
        found.append(psnr(enlarged(y, (192, 240)), x) - psnr(bicubic, x))
    assert min(found) > -0.25 and np.mean(found) > 0.05


def test_flat_and_extreme_pictures_stay_what_they_are() -> None:
    for level in (-1.0, -0.9, 0.0, 1.0):
        flat = torch.full((1, 3, 20, 24), level)
        assert (enlarged(flat, (60, 72)) - level).abs().max() < 6 / 255  # of 2
    edge = torch.ones(1, 3, 24, 24)
    edge[..., 12:] = -1
    assert enlarged(edge, (96, 96)).abs().max() < 1.7


def test_grey_pictures_stay_grey_in_one_channel_and_in_three() -> None:
    grey = engine(PHOTOS["cat"]).mean(1, keepdim=True)
    one, three = enlarged(grey, (384, 480)), enlarged(grey.expand(-1, 3, -1, -1), (384, 480))
    assert one.shape == (1, 1, 384, 480)
    assert (three - one).abs().mean() < 1 / 255
    photo = np.rint(PHOTOS["cat"].mean(2, keepdims=True)).astype(np.uint8)[:40, :50]
    large = restore("superres", photo.repeat(3, 2), scale=2)
    assert isinstance(large, np.ndarray)
    assert np.array_equal(large, np.repeat(restore("superres", photo, scale=2), 3, axis=2))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_tiles_give_the_same_numbers(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    y, shares = engine(PHOTOS["coffee"])[..., :71, :90], list[float]()
    size = 71 * factor, 90 * factor
    whole = enlarged(y, size)
    monkeypatch.setattr(enlargement, "TILE", 32)
    tiled = enlarged(y, size, tick=shares.append)
    assert (whole - tiled).abs().max() < 1e-5
    assert len(shares) == 9 and shares == sorted(shares) and shares[-1] == 1


def test_precision_is_heard() -> None:
    y = engine(PHOTOS["rocket"])[..., :64, :64]
    exact, coarse = enlarged(y, (128, 128)), enlarged(y, (128, 128), precision=torch.bfloat16)
    assert exact.dtype == coarse.dtype == torch.float32
    assert 0 < (exact - coarse).abs().mean() < 1 / 255


def test_hardly_enlarged_is_left_to_bicubic() -> None:
    """Where the network's factor, made whole, would take memory and bring nothing."""
    y = engine(PHOTOS["cat"])[..., :40, :50]
    assert torch.equal(enlarged(y, (44, 55)), Resample((40, 50), (44, 55))(y))


def enlarging(**how: Any) -> tuple[Restorer, dict[str, Any]]:
    task = plugins.registry().task("superres")
    options = resolve(task, {"scale": 2.0, "sigma": 0})
    return Restorer(task, Choices(prior="photo-few", **how), options), options


def test_the_guess_is_a_step_that_counts_and_can_be_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[float, int]] = []
    monkeypatch.setattr(enlargement, "TILE", 32)
    shot = Shot(PHOTOS["cat"][:60, :60])

    def progress(done: float, total: int) -> bool:
        told.append((done, total))
        return not cancelled or done < 0.5

    for how, whole in (({}, 3), ({"travel": (1, 2)}, 4)):
        restorer, options = enlarging(steps=2, **how)
        for cancelled in (False, True):
            told.clear()
            if cancelled:
                with pytest.raises(Cancelled):
                    restorer(shot, progress=progress, **options)
            else:
                assert restorer(shot, progress=progress, **options).nfe == whole
            assert told[0] == (0, whole) and told == sorted(told)
            assert told[-1] == ((0.5, whole) if cancelled else (whole, whole))


def test_what_is_refused_is_refused_before_the_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, int]] = []
    restorer, options = enlarging()
    monkeypatch.setattr(memory, "free", lambda _: 1000)
    monkeypatch.setattr(memory, "tile_for", lambda *_: 64)
    with pytest.raises(RestorekitError, match="GB are free"):
        restorer(Shot(PHOTOS["cat"]), progress=lambda *how: told.append(how), **options)
    assert not told
