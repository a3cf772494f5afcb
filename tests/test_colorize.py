"""Colours are guessed; the luminance of every pixel is the photo's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from restorekit_colorize.luma import BT601, Luma, with_luma

import restorekit
from restorekit import images
from restorekit.testing import check_operator

from .commands import run, save
from .noisy import CAT

GREY = np.ascontiguousarray(CAT[20:52, 30:70, 1])
FAST: dict[str, Any] = {"prior": "photo-fast", "steps": 4}


def luma(x: np.ndarray) -> np.ndarray:
    return np.asarray(x.astype(np.float64) @ np.array(BT601))


@pytest.mark.parametrize("mode", ["fidelity", "perceptual"])
@pytest.mark.parametrize(("kind", "peak"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_luminance_is_kept(mode: str, kind: Any, peak: int) -> None:
    """To half a level where pixels are rounded, where black and white stay what they are."""
    grey = GREY / 255 * peak
    grey[:4], grey[4:8] = 0, peak
    grey = (grey if peak == 1 else np.rint(grey)).astype(kind)
    coloured = restorekit.restore("colorize", grey, mode=mode, **FAST)
    assert coloured.shape == (*grey.shape, 3) and coloured.dtype == kind
    assert np.abs(luma(coloured) - grey).max() <= (0.5 + 1e-2 if peak > 1 else 1e-6)
    assert (coloured[:4] == 0).all() and (coloured[4:8] == peak).all()
    strength = np.ptp(coloured[8:].astype(np.float64), axis=2).mean() / peak
    assert strength > (0.02 if mode == "perceptual" else 0.001)


def test_colours_are_drawn_towards_grey_where_there_is_no_room() -> None:
    x = 3 * torch.randn(1, 3, 40, 50, generator=torch.Generator().manual_seed(0)).double()
    y = torch.linspace(-1, 1, 2000, dtype=torch.float64).reshape(1, 1, 40, 50)
    kept = with_luma(x, y)
    torch.testing.assert_close(Luma()(kept), y)
    assert kept.abs().max() <= 1 + 1e-9
    mild = with_luma(0.05 * x, torch.zeros_like(y))
    torch.testing.assert_close(mild - Luma()(mild), 0.05 * (x - Luma()(x)))


def test_luma_conforms() -> None:
    check_operator(Luma(), (2, 3, 5, 7))
    check_operator(Luma(), (2, 3, 5, 7), torch.float32)


def test_colours_that_are_there_are_left_out(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save("in.png", CAT[:24, :30])
    assert run("colorize in.png -o out.png --prior photo-fast --steps 2") == 0
    told = capfd.readouterr().err
    assert "guessed" in told and "left out" in told
    written = images.read("out.png")
    assert np.abs(luma(written.pixels) - luma(CAT[:24, :30])).max() <= 0.5 + 1e-2
    assert b"compositeWithTrainedAlgorithmicMedia" in dict(written.metadata)["xmp"]  # invented


def test_it_can_be_tried(here: Path) -> None:
    save("clean/a.png", CAT[:24, :30])
    assert run("benchmark colorize clean --steps 2 --prior photo-fast --quiet --json r.json") == 0
    assert "baseline_psnr" in Path("r.json").read_text()
