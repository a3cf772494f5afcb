"""That restoring restores: every task, prior, method and way of asking."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import restorekit
from restorekit import RestorekitError, cli, images, loading, metrics, plugins, priors
from restorekit.choices import Choices
from restorekit.engine.denoiser import Prediction
from restorekit.engine.precision import has_bfloat16
from restorekit.engine.wrappers import Wrapper
from restorekit.given import resolve
from restorekit.restorer import Restorer
from restorekit.shot import Shot
from restorekit.testing import GaussianPrior
from restorekit.units import converted

from .noisy import CAT, LEVEL, noisy, psnr


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


def test_sigma_estimated_is_nearly_as_good() -> None:
    seen = noisy(CAT)
    told, estimated = (restorekit.restore("denoise", seen, sigma=s) for s in (LEVEL, "auto"))
    assert np.array_equal(restorekit.restore("denoise", seen), estimated)  # the default
    assert psnr(estimated, CAT) > psnr(told, CAT) - 1  # by the prior for noise of any kind


def test_strength_and_grain_do_what_they_say() -> None:
    """More strength is smoother, and little more than all; grain comes back in proportion."""
    seen = converted(noisy(CAT, 10 / 255).clip(0, 1), np.uint8)

    def restored(**options: float) -> np.ndarray:
        return restorekit.restore("denoise", seen, **options).astype(np.float32)

    def roughness(x: np.ndarray) -> float:
        return float(np.abs(np.diff(x, axis=0)).mean() + np.abs(np.diff(x, axis=1)).mean())

    rough = [roughness(restored(strength=s)) for s in (0, 0.5, 1, 1.5, 2)]
    assert rough == sorted(rough, reverse=True) and rough[0] == roughness(seen.astype(np.float32))
    assert psnr(restored(strength=2) / 255, CAT) > psnr(seen / 255, CAT) + 1
    clean, half = restored(), restored(keep_grain=0.5)
    np.testing.assert_allclose(half, (clean + seen) / 2, atol=1.01)
    assert np.array_equal(restored(keep_grain=1), seen)


def test_a_clean_photo_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To the bit, at no cost, and it is said."""
    smooth = np.linspace(20, 230, 96 * 96).reshape(96, 96, 1).astype(np.uint8).repeat(3, 2)
    file, target = tmp_path / "smooth.png", tmp_path / "out.png"
    images.write(file, images.Photo(smooth))
    assert cli.main(["denoise", str(file), "-o", str(target)]) == 0
    assert "left as it is" in capsys.readouterr().err
    assert np.array_equal(images.read(target).pixels, smooth)


@pytest.mark.parametrize("bound", [True, False])
def test_a_prior_that_knows_no_bound_is_asked_the_safe_way(
    bound: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About a photo's own noise: a flat patch without any stays flat, for a second evaluation."""
    restorer = Restorer(plugins.registry().task("denoise"), Choices(prior="photo"))
    monkeypatch.setattr(restorer.prior, "bound", bound)
    flat = np.full((64, 64, 3), 128, np.uint8)
    flat[..., 2] = 120
    result = restorer(Shot(flat), **resolve(restorer.task, {"sigma": 15 / 255}))
    assert result.nfe == (1 if bound else 2)
    if not bound:
        assert np.abs(result.pixels.astype(int) - flat).max() <= 2


@pytest.mark.parametrize("mode", ["fidelity", "perceptual"])
def test_a_photo_of_equal_channels_is_grey(mode: str) -> None:
    grey = np.rint(255 * noisy(CAT[:48, :56, 1])).clip(0, 255).astype(np.uint8)[..., None]
    choices = Choices(mode=mode, steps=2 if mode == "perceptual" else None, prior="photo")
    restorer = Restorer(plugins.registry().task("denoise"), choices)
    one, three = (
        restorer(Shot(p), **resolve(restorer.task, {"sigma": LEVEL}))
        for p in (grey, grey.repeat(3, 2))
    )
    assert three.pixels.shape == (48, 56, 3) and three.nfe == one.nfe
    assert np.array_equal(three.pixels, one.pixels.repeat(3, 2))


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


@pytest.mark.parametrize("sampler", ["snore", "hqs"])
def test_samplers_that_noise_a_photo_do_not_take_a_noisy_one_for_a_state(sampler: str) -> None:
    clean = CAT[:48, :48]
    with pytest.raises(RestorekitError, match="--method"):
        restorekit.restore("denoise", noisy(clean), sigma=LEVEL, sampler=sampler)
    found = restorekit.restore(
        "denoise", noisy(clean), sigma=LEVEL, sampler=sampler, method="diffpir", steps=16
    )
    assert psnr(found, clean) > psnr(noisy(clean), clean) + 2


@pytest.mark.parametrize(("sampler", "spread"), [("ddim", True), ("hqs", False), ("snore", False)])
def test_a_sampler_starts_from_a_state_of_its_own(sampler: str, spread: bool) -> None:
    """From the guess at the noise level of the first time, or without any."""
    choices = Choices(sampler=sampler, steps=3, prior="photo")
    restorer = Restorer(plugins.registry().task("superres"), choices)
    starts: list[torch.Tensor] = []
    step = restorer.solver.step

    @functools.wraps(step)
    def noting(denoiser: Any, x_t: torch.Tensor, *rest: Any) -> Any:
        starts.append(x_t)
        return step(denoiser, x_t, *rest)

    restorer.solver.step = noting
    restorer(Shot(np.full((24, 24, 3), 128, np.uint8)), **resolve(restorer.task, {"scale": 2.0}))
    schedule = restorer.prior.schedule
    _, sigma = schedule(schedule.time_for(restorer.how.recipe.start))
    assert starts[0].std() == pytest.approx(float(sigma) if spread else 0.0, rel=0.1, abs=0.01)


def test_time_travel_walks_again() -> None:
    """RePaint's: every two steps twice, as a recipe may ask."""
    choices = Choices(sampler="ddim", steps=5, travel=(2, 2))
    restorer = Restorer(plugins.registry().task("inpaint"), choices)
    hole = np.zeros((16, 16), bool)
    hole[4:8, 4:8] = True
    result = restorer(Shot(CAT[:16, :16]), **resolve(restorer.task, {"mask": hole}))
    assert result.nfe == 9  # 1 + 2 x 2 + 2 x 2: the first and two stretches of two
    assert np.array_equal(result.pixels[~hole], CAT[:16, :16][~hole])


def test_samples_of_a_grey_photo_differ_in_what_grey_does_not_show() -> None:
    """The deviations of posterior samples count the noise that the mean of the channels hides."""
    seen = noisy(CAT[:32, :32, 1])
    one, again, other = (
        restorekit.restore(
            "denoise", seen, sigma=LEVEL, mode="perceptual", method="none", steps=1, seed=seed
        )
        for seed in (0, 0, 1)
    )
    assert np.array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3


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
    assert one.shape[:2] == ((32, 40) if task == "denoise" else (64, 80))
    assert np.array_equal(one[one[..., 3] > 0], other[one[..., 3] > 0])
    assert 0 < (one[..., 3] == 0).mean() < 1


@pytest.mark.parametrize(("sampler", "turned"), [("snore", True), ("hqs", True), ("ddim", False)])
def test_what_carries_no_noise_asks_about_turned_pictures(sampler: str, turned: bool) -> None:
    """A tall picture is asked about lying down, and comes back standing."""
    asked: set[tuple[int, int]] = set()
    restorer = Restorer(plugins.registry().task("superres"), Choices(sampler=sampler, steps=8))
    inner = restorer.solver.evaluated

    class Seen(Wrapper):
        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            asked.add((x_t.shape[2], x_t.shape[3]))
            return self.denoiser(x_t, t)

    restorer.solver.evaluated = Seen(inner)
    options = resolve(restorer.task, {"scale": 2.0})
    restored = restorer(Shot(np.ascontiguousarray(CAT[:24, :16])), **options).pixels
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


@pytest.mark.parametrize("native", [True, False])
def test_auto_precision_is_what_the_processor_has(
    native: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    has_bfloat16.cache_clear()
    loading._tell_of_bfloat16.cache_clear()
    chosen = {loading.find_precision("auto", torch.device("cpu")) for _ in range(2)}
    assert chosen == {"bfloat16" if native else "float32"}
    assert caplog.text.count("bfloat16") == native, "said once"
    assert loading.find_precision("float32", torch.device("cpu")) == "float32"
    has_bfloat16.cache_clear()


class Listening(GaussianPrior):
    """A prior that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(torch.zeros(1, 3, 1, 1), 0.25)
        self.told: list[float] = []

    def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
        self.told.append(float(self.schedule.noise_to_signal(t).max()))
        return super().__call__(x_t, t)


def test_a_prior_is_asked_as_it_was_trained() -> None:
    """One that was trained unfolded: at its own levels, unless it is told otherwise."""
    levels = (0.3, 0.1, 0.06)
    hole = np.zeros((16, 16), bool)
    hole[4:9, 4:9] = True

    def told(unfolded: tuple[float, ...], **how: Any) -> list[float]:
        heard = Listening()
        prior = priors.Prior("it", (), 3, None, None, {}, lambda *_: heard, unfolded)
        restorekit.restore("inpaint", CAT[:16, :16], mask=hole, prior=prior, **how)
        return heard.told

    assert told(levels) == pytest.approx(levels, rel=1e-3)
    heard = Listening()
    prior = priors.Prior("it", (), 3, None, None, {}, lambda *_: heard, levels)
    restorekit.restore("superres", CAT[:16, :16], scale=2, sigma=0, prior=prior)
    assert len(heard.told) == 3, "between those that a guess leaves"
    assert heard.told[::2] == pytest.approx(levels[1:], rel=1e-3)
    assert told(levels, steps=2) == pytest.approx(levels[:2], rel=1e-3)
    assert told(()) == told(levels, sampler="snore", method="diffpir", steps=8)
    assert len(told((), steps=2)) == 4, "snore asks twice a step"


def test_effort_is_a_matter_of_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    small = CAT[:16, :16]

    def asked(task: str, effort: str, **options: Any) -> tuple[str, int]:
        choices = Choices(effort=effort)
        given = resolve(plugins.registry().task(task), options)
        restorer = Restorer(plugins.registry().task(task), choices, given)
        return restorer.how.prior_name, restorer(Shot(small), **given).nfe

    prior, often = asked("superres", "normal", scale=2, sigma=0)
    assert (prior, often) == ("photo-few", 1 + 3), "and one of the network that guesses first"
    assert asked("superres", "low", scale=2, sigma=0) == (prior, 2)
    assert asked("superres", "high", scale=2, sigma=0) == (prior, 1 + 8 * 3)
    assert asked("denoise", "low", sigma=LEVEL) == ("photo-fast", 1)
    with pytest.raises(RestorekitError, match="effort 'none' is unknown; use low, normal, high"):
        restorekit.restore("denoise", small, effort="none")


def test_a_mode_may_begin_with_what_another_found() -> None:
    """Its guess is the other's result, before any finish, and the progress is that of both."""
    task, small = plugins.registry().task("superres"), CAT[:16, :16]
    given = resolve(task, {"scale": 2, "sigma": 0})
    restorer = Restorer(task, Choices("perceptual"))
    assert restorer.how.recipe.refines == "fidelity" and restorer.first is not None
    moved: list[tuple[float, int]] = []
    found = restorer(Shot(small), progress=lambda *how: moved.append(how), **given)
    own = restorer.how.prior_name  # the same prior for both
    alone = Restorer(task, Choices(prior=own))(Shot(small), **given)
    assert found.nfe == alone.nfe + restorer.how.recipe.steps
    whole = 1 + restorer.first.how.recipe.steps + restorer.how.recipe.steps
    assert moved == sorted(moved) and moved[-1] == (whole, whole)
    assert (found.pixels != alone.pixels).any()
    apart = np.abs(found.pixels.astype(int) - alone.pixels).mean()
    assert apart < 8, "it adds detail to what was found"


def test_hidden_colours_stay_what_they_were() -> None:
    """What nobody sees was not asked to change."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 64, 4)).astype(np.uint8)
    pixels[..., 3] = 255 * (rng.random((64, 64)) < 0.5)
    hidden = pixels[..., 3] == 0
    restored = restorekit.restore("denoise", pixels, sigma=25 / 255)
    assert np.array_equal(restored[hidden], pixels[hidden])
    assert not np.array_equal(restored[~hidden], pixels[~hidden])


def test_samples_of_a_nearly_clean_photo_differ() -> None:
    noisy = CAT[:48, :64] + np.random.default_rng(0).normal(0, 2, (48, 64, 3))
    noisy = noisy.round().clip(0, 255).astype(np.uint8)
    a, b = (
        restorekit.restore("denoise", noisy, sigma=2 / 255, mode="perceptual", steps=4, seed=seed)
        for seed in (1, 2)
    )
    assert 0.1 < np.square(a.astype(float) - b).mean() ** 0.5 < 3
