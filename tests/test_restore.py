"""`restorekit.restore`: what goes in comes back, restored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from restorekit_denoise.noise_level import estimate
from skimage import data

import restorekit
from restorekit import RestorekitError, cli, images, metrics, plugins, priors
from restorekit.engine.denoiser import Prediction
from restorekit.engine.sampler import Cancelled
from restorekit.engine.wrappers import Wrapper
from restorekit.images import Photo
from restorekit.restorer import Choices, Restorer
from restorekit.task import resolve

from .conftest import SAMPLES

CAT = data.chelsea()[60:156, 100:196]
LEVEL = 25 / 255


def noisy(clean: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Unclipped noise on [0, 1], as the literature adds it."""
    return clean / 255 + np.random.default_rng(7).normal(0, level, clean.shape)


def psnr(restored: np.ndarray, clean: np.ndarray) -> float:
    """In dB, of pixels on [0, 1] against 8 bits."""
    return float(-10 * np.log10(np.square(restored - clean / 255).mean()))


def unit(pixels: np.ndarray) -> np.ndarray:
    peak = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    return np.asarray(pixels.astype(np.float64) / peak)


# --- Types and layouts ------------------------------------------------------------------------


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
    with pytest.raises(RestorekitError, match="is the input itself"):
        restorekit.restore("denoise", source, output=source)
    assert source.read_bytes() == before


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


# --- Restoring --------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_denoising_gains(grey: bool) -> None:
    clean = CAT[..., 1] if grey else CAT
    seen = noisy(clean)
    restored = restorekit.restore("denoise", seen, sigma=LEVEL)
    assert psnr(restored, clean) > psnr(seen, clean) + 4


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.5, 5.0, 200.0])
@pytest.mark.parametrize("prior", list(priors.shipped()))
def test_no_noise_level_makes_a_photo_worse(prior: str, sigma: float) -> None:
    """Also beyond those that the prior was trained at."""
    clean = CAT[:64, :64] / 255
    noisy = clean + sigma / 255 * np.random.default_rng(0).standard_normal(clean.shape)
    restored = restorekit.restore("denoise", noisy, sigma=sigma / 255, prior=prior)
    gain = metrics.psnr(restored, clean, 1.0) - metrics.psnr(noisy.clip(0, 1), clean, 1.0)
    assert gain > -0.05


def test_noise_levels_are_estimated_within_one_grey_level() -> None:
    """Mean absolute error below 1 of 255 at sigma 5 to 50, in whatever unit, and for grey."""
    rng = np.random.default_rng(0)
    errors = []
    for file in sorted((SAMPLES / "photos").glob("*")):
        clean = images.read(file).rgb8().astype(np.float32)
        for sigma in (5, 10, 25, 50):
            noisy = clean + rng.normal(0, sigma, clean.shape).astype(np.float32)
            found = estimate(noisy)
            errors.append(abs(found - sigma))
            assert estimate(noisy / 127.5 - 1) * 127.5 == pytest.approx(found, abs=0.01)
            assert abs(estimate(noisy[..., :1]) - sigma) < 3
    assert np.mean(errors) < 1.0


def test_sigma_estimated_is_nearly_as_good() -> None:
    seen = noisy(CAT)
    told, estimated = (restorekit.restore("denoise", seen, sigma=s) for s in (LEVEL, "auto"))
    assert np.array_equal(restorekit.restore("denoise", seen), estimated)  # the default
    assert psnr(estimated, CAT) > psnr(told, CAT) - 0.5


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


def test_generate(tmp_path: Path) -> None:
    """The size is (height, width) here; the seed decides, as on the command line."""
    target = tmp_path / "out.png"
    command = ["generate", "-o", str(target), "--size", "24x16", "--steps", "2", "--quiet"]
    assert cli.main(command) == 0
    one, other = (restorekit.restore("generate", size=(16, 24), steps=2, seed=s) for s in (0, 1))
    assert (one.dtype, one.shape) == (np.uint8, (16, 24, 3))
    assert not np.array_equal(one, other)
    assert np.array_equal(one, images.read(target).pixels)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float64, torch.uint8])
def test_inpainting_by_an_array(kind: Any) -> None:
    hole = np.zeros((32, 40), bool)
    hole[10:16, 8:30] = True
    damaged = np.where(hole[..., None], 0, CAT[:32, :40]).astype(np.uint8)
    mask: Any
    if isinstance(kind, torch.dtype):
        mask = torch.from_numpy(hole).to(kind)
    else:
        mask = hole.astype(kind) * (255 if kind is np.uint8 else 1)
    restored = restorekit.restore("inpaint", damaged, mask=mask, steps=2)
    assert np.array_equal(restored[~hole], CAT[:32, :40][~hole])
    assert psnr(restored[hole] / 255, CAT[:32, :40][hole]) > 20


def test_inpainting_of_transparent_pixels() -> None:
    """Without a mask: an option that was not given has its default."""
    photo = np.dstack([CAT[:16, :16], np.full((16, 16), 255, np.uint8)])
    photo[4:8, 4:8] = 0
    restored = restorekit.restore("inpaint", photo, mask_from_alpha=True, steps=2)
    assert (restored[..., 3] == 255).all()
    assert (restored[4:8, 4:8, :3] > 0).all()


def test_progress_counts_and_cancels() -> None:
    seen: list[tuple[int, int]] = []

    def two_of_them(done: int, total: int) -> bool:
        seen.append((done, total))
        return done < 2

    with pytest.raises(Cancelled):
        restorekit.restore("superres", CAT[:8, :8], steps=5, progress=two_of_them)
    assert seen == [(0, 5), (1, 5), (2, 5)]


# --- What is refused --------------------------------------------------------------------------

NAN = np.full((8, 8, 3), np.nan)
EYE = np.eye(8) > 0


@pytest.mark.parametrize(
    ("task", "image", "options", "message"),
    [
        ("sharpen", CAT, {}, "'sharpen' is unknown; use denoise, "),
        ("denoise", CAT, {"strength": 3}, "no option 'strength'; it has: sigma"),
        ("denoise", CAT, {"method": "magic"}, "'magic' is unknown; use ddnm, "),
        ("denoise", CAT, {"sampler": "magic"}, "'magic' is unknown; use ddim"),
        ("denoise", CAT, {"prior": "magic"}, "'magic' is unknown; use photo"),
        ("denoise", CAT, {"mode": "magic"}, "'magic' is unknown; use fidelity or perceptual"),
        ("denoise", CAT, {"device": "magic"}, "'magic' is unknown; use auto, cpu"),
        ("denoise", CAT, {"steps": 0}, "give at least 1"),
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


# --- Any picture ------------------------------------------------------------------------------

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


@pytest.mark.parametrize("method", ["diffpir", "ddnm", "dps", "pigdm"])
def test_every_method_denoises(method: str) -> None:
    """A method counts the photo once: it starts from noise, not from the photo as a state."""
    clean = CAT[:48, :48]
    found = restorekit.restore(
        "denoise", noisy(clean), sigma=LEVEL, method=method, steps=16, sampler="dpmpp_2m"
    )
    alone = restorekit.restore("denoise", noisy(clean), sigma=LEVEL)
    assert psnr(noisy(clean), clean) + 2 < psnr(found, clean) < psnr(alone, clean)
    with pytest.raises(RestorekitError, match="--steps"):
        restorekit.restore("denoise", noisy(clean), sigma=LEVEL, method=method)


def test_a_folder_named_as_the_prior_is_no_prior(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photo").mkdir()
    monkeypatch.chdir(tmp_path)
    restorekit.restore("denoise", CAT[:16, :16], sigma=LEVEL)


@pytest.mark.parametrize(
    ("task", "options"),
    [("denoise", {"sigma": LEVEL}), ("superres", {"scale": 2.5, "steps": 2}), ("inpaint", {})],
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

    class Little:
        available = 10**6

    monkeypatch.setattr(memory.psutil, "virtual_memory", Little)
    with pytest.raises(RestorekitError, match=r"96 x 96 pixels need about .* GB are free"):
        restorekit.restore("denoise", CAT, sigma=LEVEL)


@pytest.mark.parametrize("task", ["denoise", "superres"])
def test_what_transparency_hides_does_not_show(task: str) -> None:
    """Whatever colour the hidden pixels have, the visible ones come out the same."""
    options: dict[str, Any] = {"sigma": LEVEL} if task == "denoise" else {"scale": 2, "steps": 2}
    alpha = np.full((32, 40), 255, np.uint8)
    alpha[:, 25:] = 0
    restored = []
    for hidden in (0, 255):
        pixels = CAT[:32, :40].copy()
        pixels[alpha == 0] = hidden
        rgba = np.dstack([pixels, alpha])
        restored.append(restorekit.restore(task, rgba, **options))
    one, other = restored
    assert np.array_equal(one[..., 3], other[..., 3])
    assert one.shape[:2] == (32, 40) if task == "denoise" else (64, 80)
    assert np.array_equal(one[one[..., 3] > 0], other[one[..., 3] > 0])
    assert 0 < (one[..., 3] == 0).mean() < 1


@pytest.mark.parametrize(("sampler", "turned"), [("snore", True), ("hqs", False)])
def test_only_snore_asks_about_turned_pictures(sampler: str, turned: bool) -> None:
    """A tall picture is asked about lying down, and comes back standing."""
    asked: set[tuple[int, int]] = set()
    restorer = Restorer(plugins.registry().task("superres"), Choices(sampler=sampler, steps=4))
    inner = restorer.evaluated

    class Seen(Wrapper):
        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            asked.add((x_t.shape[2], x_t.shape[3]))
            return self.denoiser(x_t, t)

    restorer.evaluated = Seen(inner)
    options = resolve(restorer.task, {"scale": 2.0})
    restored = restorer(np.ascontiguousarray(CAT[:24, :16]), **options).pixels
    assert restored.shape == (48, 32, 3)
    assert asked == ({(48, 32), (32, 48)} if turned else {(48, 32)})


def test_an_ensemble_treats_a_mirrored_picture_alike() -> None:
    seen = noisy(CAT[:32, :40]).astype(np.float32)

    def restored(pixels: np.ndarray, **how: Any) -> np.ndarray:
        return restorekit.restore("denoise", np.ascontiguousarray(pixels), sigma=LEVEL, **how)

    plain, averaged = restored(seen), restored(seen, ensemble=True)
    assert np.abs(restored(seen[:, ::-1], ensemble=True)[:, ::-1] - averaged).max() < 1e-5
    assert np.abs(restored(seen[:, ::-1])[:, ::-1] - plain).max() > 1e-3
    assert psnr(averaged, CAT[:32, :40]) > psnr(plain, CAT[:32, :40])
