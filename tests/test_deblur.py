"""Deblurring: what a known kernel took away comes back, up to the photo's borders."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from restorekit_deblur import kernels, trial

import restorekit
from restorekit import RestorekitError, images
from restorekit.engine.noise import Noise
from restorekit.given import resolve
from restorekit.options import NoiseLevel
from restorekit.plugins import registry

from .commands import run, save
from .noisy import CAT, psnr

FAST: dict[str, Any] = {"prior": "photo-fast", "steps": 4}
LEVEL = 2.55 / 255
OFF = {"kernel": None, "gaussian": None, "motion": None, "disk": None}


def blurred(clean: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    return trial.degrade(clean, Noise(0, "x"), **{"shake": None, "sigma": LEVEL, **OFF, **options})


@pytest.mark.parametrize(
    "how", [{"gaussian": 1.6}, {"motion": "9,30"}, {"disk": 2.5}, {"shake": 3}], ids=str
)
def test_it_is_sharper_up_to_the_border(how: dict[str, Any]) -> None:
    reference, seen, given = blurred(CAT, **how)
    restored = restorekit.restore("deblur", seen, **given, **FAST)
    assert psnr(restored, reference) > psnr(seen, reference) + 2.5
    frame = np.ones(reference.shape[:2], bool)
    frame[6:-6, 6:-6] = False
    assert psnr(restored[frame], reference[frame]) > psnr(seen[frame], reference[frame]) + 1


def test_what_a_kernel_moves_is_moved_back() -> None:
    """A kernel that is off its middle, of an odd and an even number of pixels, shifts alone."""
    kernel = np.zeros((3, 6))
    kernel[0, 5] = 1
    reference, seen, given = blurred(CAT, kernel=kernel, sigma=0.0)
    assert seen.shape == (94, 91, 3)
    y, x = 2, 10  # of the photo: from (i - a + middle) of the picture
    top, left = 3 - 1 - 1, 6 - 1 - 3
    moved = CAT[y + top - 0 + 1, x + left - 5 + 3] / 255
    assert np.allclose(seen[y, x], moved, atol=1e-6)
    restored = restorekit.restore("deblur", seen, **given, **FAST)
    assert psnr(restored[:, :-3], reference[:, :-3]) > 40
    assert psnr(seen, reference) < 30


def test_perceptual_mode_and_grey_and_alpha() -> None:
    reference, seen, given = blurred(CAT[..., 1:2], gaussian=1.6)
    sharp = restorekit.restore("deblur", seen[..., 0], mode="perceptual", **given, **FAST)
    assert sharp.shape == reference.shape[:2] and psnr(sharp, reference[..., 0]) > 25
    pair = np.dstack([seen, np.ones_like(seen)])
    both = restorekit.restore("deblur", pair, mode="perceptual", **given, **FAST)
    assert np.array_equal(both[..., 0], sharp) and (both[..., 1] == 1).all()
    for size in ((1, 1), (2, 7)):
        tiny = np.full((*size, 3), 90, np.uint16)
        restored = restorekit.restore("deblur", tiny, disk=4.0, **FAST)
        assert restored.shape == tiny.shape and restored.dtype == np.uint16


def test_a_kernel_comes_as_a_file(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Which a record knows by what is in it."""
    kernel = np.rint(255 * kernels.motion(9, 30).numpy() / kernels.motion(9, 30).max().item())
    save("kernel.png", kernel.astype(np.uint8))
    save("in/a.png", CAT[:24, :30])
    assert run("deblur in/a.png -o one.png --kernel kernel.png --steps 2 --prior photo-fast") == 0
    assert "noise about" in capfd.readouterr().err
    array = restorekit.restore("deblur", CAT[:24, :30], kernel=kernel, prior="photo-fast", steps=2)
    assert np.array_equal(images.read("one.png").pixels, array)
    line = "deblur in -o out --kernel kernel.png --steps 2 --prior photo-fast --report r.jsonl"
    skipped = []
    for change in (False, False, True):
        if change:
            Path("kernel.png").unlink()
            save("kernel.png", np.full((3, 3), 255, np.uint8))
        Path("r.jsonl").unlink(missing_ok=True)
        assert run(line) == 0
        skipped.append('"skipped"' in Path("r.jsonl").read_text())
    assert skipped == [False, True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--gaussian SIGMA"),
        ({"gaussian": 1.0, "disk": 2.0}, "one of"),
        ({"motion": "8,30"}, "odd number"),
        ({"motion": "fast"}, "LENGTH,ANGLE"),
        ({"gaussian": float("nan")}, "finite"),
        ({"kernel": np.zeros((3, 3))}, "white on black"),
        ({"kernel": -np.ones((3, 3))}, "white on black"),
        ({"kernel": np.ones((3, 3, 3))}, "3 x 3 x 3"),
        ({"kernel": "none.png"}, "none.png"),
    ],
    ids=str,
)
def test_what_is_no_blur_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RestorekitError, match=message):
        restorekit.restore("deblur", CAT[:8, :8], **options)


def test_kernels_are_what_they_say() -> None:
    def spread(kernel: torch.Tensor) -> tuple[float, float]:
        at = [torch.arange(n, dtype=torch.float64) - n // 2 for n in kernel.shape]
        down, across = (kernel * at[0][:, None]).sum(), (kernel * at[1]).sum()
        assert abs(down) < 0.3 and abs(across) < 0.3
        return tuple(float((kernel.sum(1 - i) * at[i] ** 2).sum()) ** 0.5 for i in (0, 1))  # type: ignore[return-value]

    assert spread(kernels.gaussian(1.6)) == pytest.approx((1.6, 1.6), abs=0.01)
    assert spread(kernels.disk(3.5)) == pytest.approx((3.5 / 2, 3.5 / 2), abs=0.15)
    assert float(kernels.disk(3.5).max()) == pytest.approx(1 / (math.pi * 3.5**2), rel=0.01)
    flat, upright, rising = (kernels.motion(15, angle) for angle in (0, 90, 45))
    assert spread(flat) == pytest.approx((0, (15**2 - 1) ** 0.5 / 12**0.5), abs=0.1)
    assert torch.equal(flat.T, upright) or spread(upright)[1] < 0.2
    assert rising[:7, 8:].sum() > 0.4 > 0.1 > rising[:7, :7].sum()  # to the upper right
    shakes = [trial.shaken(n) for n in range(1, 9)]
    assert [len(k) for k in shakes] == list(trial.SHAKES)
    for kernel in (flat, rising, kernels.disk(0.7), *shakes):
        assert float(kernel.sum()) == pytest.approx(1) and kernel.min() >= 0
    assert resolve(registry().task("deblur"), {"motion": (15, 30)})["motion"] == "15,30"


def test_it_can_be_tried(here: Path) -> None:
    save("clean/a.png", CAT[:40, :44])
    line = "benchmark deblur clean --shake 3 --sigma 2.55 --steps 2 --prior photo-fast"
    assert run(f"{line} --json r.json --quiet") == 0
    text = Path("r.json").read_text()
    assert '"shake": 3' in text and f'"sigma": {NoiseLevel().typed(LEVEL)}' in text
