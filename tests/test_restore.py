"""`restorekit.restore`: what goes in comes back, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import restorekit
from restorekit import RestorekitError, cli, images
from restorekit.engine.sampler import Cancelled
from restorekit.images import Photo

from .noisy import CAT, LEVEL, noisy, psnr


def unit(pixels: np.ndarray) -> np.ndarray:
    peak = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    return np.asarray(pixels.astype(np.float64) / peak)


@pytest.mark.parametrize("layout", ["rgb", "grey", "rgba"])
def test_array_comes_back(layout: str) -> None:
    """Same type, layout and range; the pixels agree among types; alpha and input are kept."""
    grey = layout == "grey"
    seen = noisy(CAT[:21, :34]).clip(0, 1)
    seen = np.rint(255 * (seen.mean(axis=2) if grey else seen))
    if layout == "rgba":
        seen = np.dstack([seen, np.arange(34 * 21).reshape(21, 34) % 256])
    found: dict[Any, np.ndarray] = {}
    for dtype in (np.uint8, np.uint16, np.float32, np.float64):
        given = (seen * {np.uint8: 1, np.uint16: 257}.get(dtype, 1 / 255)).astype(dtype)
        before = given.copy()
        restored = restorekit.restore("denoise", given, sigma=LEVEL)
        assert type(restored) is np.ndarray
        assert (restored.dtype, restored.shape) == (given.dtype, given.shape)
        assert np.array_equal(given, before)
        assert not np.shares_memory(given, restored)
        if layout == "rgba":
            assert np.array_equal(restored[..., 3], given[..., 3])
        found[dtype] = unit(restored)
        assert found[dtype].min() >= 0 and found[dtype].max() <= 1
    exact = found.pop(np.float64)
    for dtype, other in found.items():
        step = 1 / np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1e-5
        assert np.abs(other - exact).max() <= step
    assert np.abs(exact - seen / 255).max() > 0.02  # and something was done


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.uint8])
def test_tensor_comes_back(dtype: torch.dtype) -> None:
    """Each picture of a batch is restored as if it were alone."""
    pictures = np.stack([CAT[:20, :27], CAT[40:60, 40:67]]) / 255
    batch = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    batch = (batch * 255 if dtype == torch.uint8 else batch).to(dtype)
    before = batch.clone()
    restored = restorekit.restore("denoise", batch, sigma=0.1)
    assert (restored.dtype, restored.shape) == (dtype, batch.shape)
    assert torch.equal(batch, before)
    if dtype == torch.float32:
        alone = batch[1].permute(1, 2, 0).numpy()
        expected = restorekit.restore("denoise", alone, sigma=0.1)
        assert np.abs(restored[1].permute(1, 2, 0).numpy() - expected).max() < 1e-6


def test_path_comes_back(tmp_path: Path) -> None:
    """As pixels of the file's depth or, with an output, as a file of the same kind."""
    source, target = tmp_path / "in.png", tmp_path / "new" / "out.png"
    deep = np.rint(noisy(CAT[:20, :20]).clip(0, 1) * 65535).astype(np.uint16)
    alpha = np.arange(400, dtype=np.uint16).reshape(20, 20)
    images.write(source, Photo(deep, alpha))
    before = source.read_bytes()
    pixels = restorekit.restore("denoise", source, sigma=LEVEL)
    assert (pixels.dtype, pixels.shape) == (np.uint16, (20, 20, 3))
    assert np.array_equal(pixels, restorekit.restore("denoise", str(source), sigma=LEVEL))
    assert restorekit.restore("denoise", source, sigma=LEVEL, output=target) == target
    written = images.read(target)
    assert np.array_equal(written.pixels, pixels)
    assert written.alpha is not None and np.array_equal(written.alpha, alpha)
    with pytest.raises(RestorekitError, match="read by this very run"):
        restorekit.restore("denoise", source, output=source, overwrite=True)
    assert source.read_bytes() == before


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    source, mask = tmp_path / "in.png", tmp_path / "mask.png"
    images.write(source, Photo(np.ascontiguousarray(CAT[:20, :20])))
    images.write(mask, Photo(np.eye(20, dtype=np.uint8)[..., None] * 255))
    before = mask.read_bytes()
    with pytest.raises(RestorekitError, match=r"mask\.png: is read by this very run"):
        restorekit.restore("inpaint", source, mask=mask, steps=1, output=mask, overwrite=True)
    assert mask.read_bytes() == before


def test_floats_may_leave_the_range() -> None:
    """Clipped noise has another mean; a restored photo has pixels on [0, 1] all the same."""
    dark = np.full((32, 32, 3), 4, np.uint8)
    seen = noisy(dark)
    assert seen.min() < -0.1
    unclipped, clipped = (
        restorekit.restore("denoise", given, sigma=LEVEL) for given in (seen, seen.clip(0, 1))
    )
    assert unclipped.min() >= 0
    assert psnr(unclipped, dark) > psnr(clipped, dark) + 3


def test_same_as_the_command_line(tmp_path: Path) -> None:
    """Same defaults; a noise level is on [0, 1] here, and on 0..255 there."""
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    images.write(source, Photo(CAT[:20, :20]))
    for task, typed, options in (
        ("denoise", ["--sigma", "25"], {"sigma": LEVEL}),
        ("denoise", ["--mode", "perceptual"], {"mode": "perceptual", "sigma": None}),
        ("superres", ["--scale", "1.5", "--sigma", "5"], {"scale": 1.5, "sigma": 5 / 255}),
    ):
        steps = ["--steps", "2", "--on-exists", "overwrite", "--quiet"]
        assert cli.main([task, str(source), "-o", str(target), *typed, *steps]) == 0
        restored = restorekit.restore(task, source, steps=2, **options)
        assert np.array_equal(images.read(target).pixels, restored), task


def test_progress_counts_and_cancels() -> None:
    seen: list[tuple[int, int]] = []

    def two_of_them(done: int, total: int) -> bool:
        seen.append((done, total))
        return done < 2

    with pytest.raises(Cancelled):
        restorekit.restore("superres", CAT[:8, :8], steps=5, progress=two_of_them)
    assert seen == [(0, 6), (1, 6), (1, 6), (2, 6)], "the guess is the first of them"


NAN = np.full((8, 8, 3), np.nan)


EYE = np.eye(8) > 0


@pytest.mark.parametrize(
    ("task", "image", "options", "message"),
    [
        ("sharpen", CAT, {}, "'sharpen' is unknown; use .*, dejpeg, denoise, "),
        ("denoise", CAT, {"power": 3}, "no option 'power'; it has: strength, keep_grain"),
        ("denoise", CAT, {"method": "magic"}, "'magic' is unknown; use ddnm, "),
        ("denoise", CAT, {"sampler": "magic"}, "'magic' is unknown; use ddim"),
        ("denoise", CAT, {"prior": "magic"}, "'magic' is unknown; use photo"),
        ("denoise", CAT, {"mode": "magic"}, "'magic' is unknown; use fidelity or perceptual"),
        ("denoise", CAT, {"device": "magic"}, "'magic' is unknown; use auto, cpu"),
        ("denoise", CAT, {"steps": 0}, "give 1 to 1000"),
        ("denoise", CAT, {"sigma": 25}, "25 is out of range"),  # for 25 / 255
        ("denoise", CAT, {"sigma": np.float64(-1)}, "out of range"),  # and no way around
        ("denoise", CAT, {"sigma": float("nan")}, "out of range"),
        ("superres", CAT, {"scale": np.float32(99)}, "not in the range"),
        ("superres", CAT, {"scale": float("nan")}, "give a finite number"),
        ("superres", CAT[:8, :8], {"method": "replace"}, "needs a mask; use 'diffpir'"),
        ("inpaint", CAT, {}, "give one of --mask FILE"),
        ("inpaint", CAT, {"mask": EYE}, "8 x 8 but the photo is 96 x 96; make them the same"),
        ("inpaint", CAT[:8, :8], {"mask": EYE, "mask_from_alpha": True}, "give one of"),
        ("inpaint", CAT[:8, :8], {"mask": [[1]]}, "cannot be a list; see `restorekit inpaint"),
        ("denoise", NAN, {}, "NaN or infinity; replace"),
        ("denoise", torch.from_numpy(NAN).permute(2, 0, 1)[None], {}, "NaN or infinity; replace"),
        ("denoise", CAT.astype(np.int32), {}, "int32; give .* of uint8, uint16 or float"),
        ("denoise", CAT[:0], {}, "cannot restore an array of shape"),
        ("denoise", torch.zeros(3, 8, 8), {}, r"shape \(3, 8, 8\); give \(B, 3 or 1, H, W\)"),
        ("denoise", torch.zeros(0, 3, 8, 8), {}, "cannot restore a tensor of shape"),
        ("denoise", CAT.tolist(), {}, "a list; give an array or a path"),
        ("denoise", None, {}, "needs a picture"),
        ("denoise", "no/such.png", {}, "no/such.png: .*check its name"),
        ("denoise", CAT, {"output": "out.png"}, "output needs the path of a file"),
    ],
)
def test_refused(task: str, image: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RestorekitError, match=message):
        restorekit.restore(task, image, **options)


def test_a_folder_named_as_the_prior_is_no_prior(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photo").mkdir()
    monkeypatch.chdir(tmp_path)
    restorekit.restore("denoise", CAT[:16, :16], sigma=LEVEL)
