"""How many channels a restored picture has is the task's to say; y may have fewer."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import restorekit
from restorekit import images
from restorekit.engine.conditioning import Degradation, Observation
from restorekit.engine.operators import Grey, Identity
from restorekit.plugins import registry
from restorekit.task import Picture, Problem, Recipe, Task

from .commands import run
from .noisy import CAT
from .pictures import GREY_PROFILE

PHOTO = np.ascontiguousarray(CAT[:24, :30])


class Tinted(Task):
    """Measures the mean of the channels; restored from a tinted guess."""

    name = "tinted"
    recipes = {"fidelity": Recipe("ddnm", "ddim", steps=2, start=0.1)}

    def __init__(self, channels: int | None) -> None:
        self.channels = channels

    def observe(self, picture: Picture, **options: Any) -> Problem:
        x = picture.pixels.expand(-1, 3, -1, -1)
        operator = Grey(Identity())
        y = operator(x)
        guess = y + torch.tensor([0.2, 0.0, -0.2])[:, None, None]
        size = (x.shape[2], x.shape[3])
        return Problem(Observation(y, Degradation(operator)), size, guess, channels=self.channels)


@pytest.fixture
def tinted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry().tasks, "tinted", Tinted(request.param))


def coloured(x: np.ndarray) -> bool:
    return bool((x[..., 0].astype(float) > x[..., 2] + 0.02 * np.iinfo(x.dtype).max).mean() > 0.5)


@pytest.mark.parametrize("tinted", [None, 3], indirect=True)
def test_a_colour_picture_measured_in_grey_stays_coloured(tinted: None) -> None:
    """As precisely as it was measured, by the task's own operator and no other around it."""
    restored = restorekit.restore("tinted", PHOTO, prior="photo-fast")
    assert restored.shape == PHOTO.shape and coloured(restored)
    inside = (restored > 0).all(2) & (restored < 255).all(2)
    gap = restored.mean(2) - PHOTO.mean(2)
    assert inside.mean() > 0.5 and np.abs(gap[inside]).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("tinted", [3], indirect=True)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_grey_arrays_get_colour(tinted: None, kind: Any) -> None:
    grey = PHOTO[..., 1].astype(kind) * (257 if kind == np.uint16 else 1)
    how = {"prior": "photo-fast"}
    restored = restorekit.restore("tinted", grey, **how)
    assert restored.shape == (24, 30, 3) and restored.dtype == kind and coloured(restored)
    alpha = np.full_like(grey, 9)
    seen = restorekit.restore("tinted", np.stack([grey, alpha], axis=2), **how)
    assert seen.shape == (24, 30, 4) and (seen[..., 3] == 9).all()
    equal = restorekit.restore("tinted", np.repeat(grey[..., None], 3, axis=2), **how)
    assert np.array_equal(equal, restored)
    if kind == np.uint8:
        batch = restorekit.restore("tinted", torch.from_numpy(grey)[None, None], **how)
        assert np.array_equal(batch[0].permute(1, 2, 0).numpy(), restored)


@pytest.mark.parametrize("tinted", [3], indirect=True)
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_grey_files_become_files_of_colour(tinted: None, suffix: str, here: Any) -> None:
    """In a folder too, and without the profile that knows grey alone."""
    buffer = io.BytesIO()
    kind = {"png": "PNG", "tif": "TIFF", "jpg": "JPEG"}[suffix]
    Image.fromarray(PHOTO[..., 1]).save(buffer, kind, icc_profile=GREY_PROFILE)
    (here / "in").mkdir()
    (here / "in" / f"a.{suffix}").write_bytes(buffer.getvalue())
    assert "icc_profile" in dict(images.read(f"in/a.{suffix}").metadata)
    assert run("tinted in -o out --prior photo-fast --quiet") == 0
    written = images.read(f"out/a.{suffix}")
    assert written.pixels.shape == (24, 30, 3) and coloured(written.pixels)
    assert "icc_profile" not in dict(written.metadata)
    assert run(f"tinted in/a.{suffix} --preview 32 -o seen.png --prior photo-fast --quiet") == 0
    assert images.read("seen.png").pixels.shape[2] == 3
