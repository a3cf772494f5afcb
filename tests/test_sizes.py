"""Pictures of any size, in tiles or whole, and those that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage import data

import restorekit
from restorekit import RestorekitError, images
from restorekit.restorer import Restorer

from .commands import run, save
from .noisy import CAT, LEVEL

SIDES = st.integers(1, 40)


FEW = settings(max_examples=6, deadline=None)


@FEW
@given(SIDES, SIDES, st.sampled_from([0.0, 0.1, 1.0]), st.booleans())
def test_denoising_takes_any_size(height: int, width: int, sigma: float, grey: bool) -> None:
    """A photo said to be free of noise is its own best estimate."""
    picture = CAT[:height, :width, 0] if grey else CAT[:height, :width]
    restored = restorekit.restore("denoise", picture, sigma=sigma)
    assert (restored.dtype, restored.shape) == (np.uint8, picture.shape)
    if sigma == 0:
        assert np.array_equal(restored, picture)


@FEW
@given(st.integers(1, 20), st.integers(1, 20), st.floats(1.01, 4))
def test_superres_takes_any_size_and_scale(height: int, width: int, scale: float) -> None:
    restored = restorekit.restore("superres", CAT[:height, :width], scale=scale, steps=1)
    assert restored.shape == (round(height * scale), round(width * scale), 3)


@FEW
@given(
    arrays.arrays(np.float32, (5, 9, 3), elements=st.floats(-1, 2, width=32)),
    arrays.arrays(bool, (5, 9)).filter(lambda mask: mask.any() and not mask.all()),
)
def test_inpainting_keeps_the_known_to_the_bit(picture: np.ndarray, mask: np.ndarray) -> None:
    """Out of [0, 1], too: nobody asked to change those pixels."""
    restored = restorekit.restore("inpaint", picture, mask=mask, steps=1)
    assert np.array_equal(restored[~mask], picture[~mask])
    assert restored[mask].min() >= 0 and restored[mask].max() <= 1


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("denoise", {"sigma": LEVEL}),
        ("superres", {"scale": 2.5, "steps": 1, "prior": "photo-fast"}),
        ("inpaint", {}),
    ],
)
def test_tiles_give_the_same_picture(task: str, options: dict[str, Any]) -> None:
    """Within one of 65535 in 16 bits, on an odd size, whatever the tile."""
    pixels = (data.chelsea()[:83, :149].astype(np.uint16) * 257)[: 33 if task == "superres" else 83]
    if task == "inpaint":
        mask = np.zeros(pixels.shape[:2], bool)
        mask[20:60:7] = True
        options = {"mask": mask, "steps": 2}
    whole = restorekit.restore(task, pixels, **options)
    for tile in (32, 100):
        tiled = restorekit.restore(task, pixels, tile=tile, **options)
        assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_what_cannot_fit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from restorekit import memory

    monkeypatch.setattr(memory, "free", lambda _: 10**6)
    with pytest.raises(RestorekitError, match=r"96 x 96 pixels need about .* GB are free"):
        restorekit.restore("denoise", CAT, sigma=LEVEL)


def test_a_format_too_small_for_the_result_is_refused_before_the_work(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """WebP has room for the photo, but not for the photo enlarged."""
    save("wide.png", np.zeros((2, 2100, 3), np.uint8))
    monkeypatch.setattr(Restorer, "_solve", lambda *_: pytest.fail("it worked"))
    assert run("superres wide.png -o large.webp --scale 8") == 1
    assert "large.webp: WEBP ends at 16383" in capfd.readouterr().err
    with pytest.raises(RestorekitError, match="16383"):
        restorekit.restore("superres", "wide.png", scale=8, output="large.webp")
    assert images.below(here) == [here / "wide.png"]
