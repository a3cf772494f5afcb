"""Only what is needed is evaluated, and it is the same to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data as pictures

from restorekit import solver
from restorekit.choices import Choices
from restorekit.engine import unet
from restorekit.engine.denoiser import NetworkDenoiser, Prediction
from restorekit.engine.noise import Noise
from restorekit.engine.pruning import Windows, windows
from restorekit.engine.regions import Box, around, regions
from restorekit.engine.sampler import Cancelled
from restorekit.engine.schedule import linear
from restorekit.engine.tiling import Tiled
from restorekit.engine.unet_config import UNetConfig
from restorekit.given import resolve
from restorekit.plugins import registry
from restorekit.restorer import Restorer
from restorekit.shot import Shot

from .networks import LOCAL, random_network


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_rectangles_hold_what_is_needed(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 400)), data.draw(st.integers(1, 400))
    needed = torch.zeros(height, width, dtype=torch.bool)
    for _ in range(data.draw(st.integers(0, 6))):
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        needed[top : top + data.draw(st.integers(1, 90)), left] = True
        needed[top, left : left + data.draw(st.integers(1, 90))] = True
    covered = torch.zeros_like(needed)
    boxes = regions(needed, 24, 8)
    whole = Box(0, height, 0, width)
    for box in boxes:
        assert box == box.grown(0, whole)
        assert box.top % 8 == box.left % 8 == 0
        covered[box.slices[2:]] = True
    assert covered[needed].all()
    assert sum(box.grown(24, whole).area + box.area for box in boxes) <= 2 * height * width
    box = around(needed, 24, 8)
    assert (box.top % 8, box.left % 8) == (0, 0)
    assert ((height - box.bottom) % 8, (width - box.right) % 8) == (0, 0)  # turned round, too
    for top, left in needed.nonzero().tolist():
        seen = Box(top, top + 1, left, left + 1).grown(24, whole)
        assert seen == seen.grown(0, box)


def test_far_apart_costs_what_each_costs_and_near_is_one() -> None:
    needed = torch.zeros(1000, 1000, dtype=torch.bool)
    needed[40, 40] = needed[900, 930] = True
    assert regions(needed, 96, 8) == [Box(32, 48, 32, 48), Box(896, 912, 928, 944)]
    needed[900, 930], needed[70, 40] = False, True
    assert regions(needed, 96, 8) == [Box(32, 80, 32, 48)]
    assert regions(torch.zeros(90, 90, dtype=torch.bool), 96, 8) == []


class Watching:
    """A denoiser that counts the pixels it is asked about."""

    def __init__(self, inner: NetworkDenoiser) -> None:
        self.inner, self.schedule, self.pixels = inner, inner.schedule, 0

    def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
        self.pixels += x_t[:, 0].numel()
        return self.inner(x_t, t)


@pytest.mark.parametrize("tile", [64, 1000])
def test_where_needed_the_answer_is_the_whole_ones(tile: int) -> None:
    config = LOCAL["uneven"]
    halo = config.halo or 0
    asked = Watching(NetworkDenoiser(random_network(config), linear()))
    x, t = Noise(3).normal((2, 3, 333, 250)).double(), torch.tensor(0.4)
    needed = torch.zeros(333, 250, dtype=torch.bool)
    needed[300:320, 20], needed[10, 200:249] = True, True
    with torch.inference_mode():
        whole = asked(x, t).x_0
        cost, asked.pixels = asked.pixels, 0
        part = Tiled(asked, tile, halo, config.multiple).where(needed)(x, t).x_0
    torch.testing.assert_close(part[..., needed], whole[..., needed])
    assert asked.pixels < cost


@pytest.mark.parametrize("mode", ["fidelity", "perceptual"])
@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_a_scratch_is_repaired_as_in_the_whole_photo(
    mode: str, grey: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On odd sizes, in every motion that the sampler asks about, to the bit."""
    photo = np.tile(pictures.chelsea(), (2, 1, 1))[:403, :355]
    photo = photo[..., :1] if grey else photo
    mask = np.zeros(photo.shape[:2], dtype=bool)
    mask[180:200, 60:64] = True
    task = registry().tasks["inpaint"]
    restore = Restorer(task, Choices(mode=mode, prior="photo-fast", steps=3))
    options = resolve(task, {"mask": mask})
    part = restore(Shot(photo), **options)
    monkeypatch.setattr(solver, "needed", lambda *_: None)
    whole = restore(Shot(photo), **options)
    np.testing.assert_array_equal(part.pixels, whole.pixels)
    assert part.nfe == whole.nfe


def test_one_small_hole_costs_less_than_its_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is given a halo around it, and works for the hole alone."""
    asked: list[tuple[Box, Box | None]] = []

    def watched(config: UNetConfig, whole: Box, inner: Box | None) -> Windows:
        asked.append((whole, inner))
        return windows(config, whole, inner)

    monkeypatch.setattr(unet, "windows", watched)
    mask = np.zeros((300, 420), dtype=bool)
    mask[140:150, 200:204] = True
    task = registry().tasks["inpaint"]
    restore = Restorer(task, Choices(prior="photo-fast", steps=1))
    restore(Shot(pictures.chelsea()[:300, :420]), **resolve(task, {"mask": mask}))
    assert asked
    for whole, inner in asked:
        assert inner is not None and inner.area < 0.1 * whole.area


def test_progress_moves_with_the_tiles_and_cancels_between_them() -> None:
    photo = pictures.chelsea()[:200, :250]
    restore = Restorer(registry().tasks["denoise"], Choices(prior="photo-fast", tile=64))
    options = resolve(registry().tasks["denoise"], {"sigma": "0.05"})
    told: list[tuple[float, int]] = []
    restore(Shot(photo), progress=lambda *now: told.append(now), **options)
    assert len(told) > 10 and told == sorted(told)
    assert told[0] == (0, 1) and told[-1] == (1, 1) and 0 < told[1][0] < 0.2
    with pytest.raises(Cancelled):
        restore(Shot(photo), progress=lambda done, _: done < 0.3, **options)
