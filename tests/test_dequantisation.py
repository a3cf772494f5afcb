"""The network that says what a JPEG took away: better than the decoder, and never wild."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from restorekit_dejpeg.coded import measured
from restorekit_dejpeg.task import guessed, within
from skimage import data

from restorekit import dequantisation, images, restore
from restorekit.dequantisation import dequantised, steps_over
from restorekit.engine.quantised import Quantised
from restorekit.engine.sampler import Cancelled

PHOTOS = {
    "cat": data.chelsea()[40:232, 100:340],
    "coffee": data.coffee()[100:292, 200:440],
    "woman": data.astronaut()[20:212, 140:380],
}


def guess_of(path: Path, tick: Any = None) -> tuple[torch.Tensor, torch.Tensor, Quantised]:
    """What a decoder makes of a file, and the guess, both in whole MCUs; and the cells."""
    source = images.read(path).source
    assert source is not None
    coding = source.coding()
    assert coding is not None
    cells, y = measured(coding)
    tables = [(torch.from_numpy(part.q.astype(int)), part.shrink) for part in coding.components]
    tick = tick or (lambda _: None)
    return y, guessed(y, tables, torch.device("cpu"), torch.float32, tick), cells


def gains(folder: Path, clean: dict[str, np.ndarray], seen: Any = None, **how: Any) -> list[float]:
    """Over the decoder, of each photo through a file, dB.

    Args:
        seen: clean pixels -> those that are saved.
    """
    found = []
    for name, pixels in clean.items():
        path = folder / f"{name}.jpg"
        Image.fromarray(seen(pixels) if seen else pixels).save(path, **how)
        x_0 = torch.from_numpy(np.atleast_3d(pixels).astype(np.float32)).permute(2, 0, 1)
        h, w = pixels.shape[:2]
        errors = [
            float((((x[0, :, :h, :w] + 1) * 127.5).clamp(0, 255) - x_0).square().mean()) + 1e-3
            for x in guess_of(path)[:2]
        ]
        found.append(10 * np.log10(errors[0] / errors[1]))
    return found


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize(("quality", "least"), [(10, 0.9), (30, 0.9), (60, 0.7), (95, 0.1)])
def test_any_quality_is_better_than_the_decoder(
    quality: int, least: float, colour: bool, tmp_path: Path
) -> None:
    clean = PHOTOS if colour else {name: p[..., 1] for name, p in PHOTOS.items()}
    found = gains(tmp_path, clean, quality=quality)
    assert min(found) > 0 and np.mean(found) > least


def test_tables_that_no_training_saw(tmp_path: Path) -> None:
    """One step for all coefficients; and 4:2:2 whose chroma is finer than the luma."""
    flat, fine = [20] * 64, [4] * 64
    assert min(gains(tmp_path, PHOTOS, qtables=[flat, flat], subsampling=0)) > 0.3
    assert min(gains(tmp_path, PHOTOS, qtables=[flat, fine], subsampling=1)) > 0.3


@pytest.mark.parametrize("quality", [20, 75])
def test_dark_and_flat_and_noisy_photos_are_not_made_worse(quality: int, tmp_path: Path) -> None:
    def noisy(pixels: np.ndarray) -> np.ndarray:
        eps = np.random.default_rng(0).normal(0, 10, pixels.shape)
        return (pixels + eps).round().clip(0, 255).astype(np.uint8)

    dark = {name: (p * 0.1).astype(np.uint8) for name, p in PHOTOS.items()}
    flat = {str(v): np.full((64, 64, 3), v, np.uint8) for v in (0, 90, 255)}
    assert min(gains(tmp_path, dark, quality=quality)) > 0
    assert min(gains(tmp_path, PHOTOS, noisy, quality=quality)) > -0.05
    gains(tmp_path, flat, quality=quality)
    for name in flat:
        decoded, guess, _ = guess_of(tmp_path / f"{name}.jpg")
        changed = 127.5 * (guess - decoded)  # of 255
        assert changed.square().mean().sqrt() < 1 and changed.abs().max() < 4


def test_the_tables_lie_over_the_blocks() -> None:
    luma, chroma = torch.arange(1, 65).reshape(8, 8), torch.full((8, 8), 16)
    chroma[0, 0] = 2
    over = steps_over([(luma, (1, 1)), (chroma, (2, 2)), (chroma, (2, 2))], (40, 24))
    assert over.shape == (2, 40, 24)
    for i, j in ((0, 0), (3, 5), (39, 23), (17, 8)):
        wanted = np.log2([float(luma[i % 8, j % 8]), float(chroma[i % 16 // 2, j % 16 // 2])]) / 8
        np.testing.assert_allclose(over[:, i, j], wanted, rtol=1e-6)
    assert (steps_over([(luma, (1, 1))], (8, 8))[1] == 0).all()
    part = steps_over([(luma, (1, 1)), (chroma, (2, 2))], (20, 11), (13, 7))
    assert torch.equal(part, over[:, 13:33, 7:18])


def test_tiles_give_what_the_whole_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Image.fromarray(PHOTOS["cat"]).save(tmp_path / "a.jpg", quality=30)
    shares: list[float] = []
    _, whole, _ = guess_of(tmp_path / "a.jpg")
    monkeypatch.setattr(dequantisation, "TILE", 96)
    _, parts, _ = guess_of(tmp_path / "a.jpg", shares.append)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)
    assert shares == sorted(shares) and len(shares) == 6 and shares[-1] == 1

    def stop(share: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        guess_of(tmp_path / "a.jpg", stop)


def test_pictures_stay_where_they_are() -> None:
    """An answer is added to a copy."""
    y = torch.zeros(1, 3, 16, 16)
    dequantised(y, [(torch.full((8, 8), 30), (1, 1))])
    assert not y.any()


def test_the_prior_adds_to_the_guess(tmp_path: Path) -> None:
    """More than the cells alone would."""
    gain = []
    for name, pixels in PHOTOS.items():
        path = tmp_path / f"{name}.jpg"
        Image.fromarray(pixels).save(path, quality=20)
        _, guess, cells = guess_of(path)
        alone = (within(guess, cells)[0].permute(1, 2, 0).numpy() + 1) * 127.5
        results = restore("dejpeg", path), alone.clip(0, 255)[:192, :240].round()
        errors = [np.square(x.astype(float) - pixels).mean() for x in results]
        gain.append(10 * np.log10(errors[1] / errors[0]))
    assert np.mean(gain) > 0
