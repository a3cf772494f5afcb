"""Priors of any kind: opened by the plugin that knows them, or given as objects."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import restorekit
from restorekit import RestorekitError, plugins, priors
from restorekit.choices import Choices
from restorekit.engine.denoiser import Prediction
from restorekit.engine.schedule import linear
from restorekit.given import resolve
from restorekit.hookspecs import hookimpl
from restorekit.loading import find_prior, load_prior
from restorekit.priors import Prior
from restorekit.restorer import Restorer
from restorekit.shot import Shot
from restorekit.task import Recipe
from restorekit.testing import GaussianPrior

from .conftest import Install

CPU = torch.device("cpu")


def gaussian(name: str, *files: Path) -> Prior:
    """One that lies in files, whatever they hold."""
    prior = GaussianPrior(torch.zeros(1, 3, 1, 1), 0.25).prior(name)
    return dataclasses.replace(prior, files=files)


def test_the_first_plugin_that_knows_a_path_opens_it(
    install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that raises is named and passed over; what says why a file is wrong is heard."""

    @hookimpl
    def restorekit_open_prior(path: Path) -> Prior | None:
        raise SystemExit("no")

    raises = {"restorekit_open_prior": restorekit_open_prior}

    @hookimpl(specname="restorekit_open_prior")
    def opens(path: Path) -> Prior | None:
        if path.suffix == ".broken":
            raise RestorekitError(f"{path}: torn")
        return gaussian("theirs", path) if path.suffix == ".theirs" or path.is_dir() else None

    install(a=raises, b={"restorekit_open_prior": opens})
    mine, torn, other = (tmp_path / f"mine.{kind}" for kind in ("theirs", "broken", "other"))
    for path in (mine, torn, other):
        path.touch()
    found = find_prior(str(mine))
    assert found.name == "theirs" and "cannot open" in caplog.text and "SystemExit" in caplog.text
    assert find_prior(str(mine)) is found and find_prior(found) is found
    assert load_prior(found, CPU, "float32") is load_prior(found, CPU, "float32")
    assert find_prior(str(tmp_path)).name == "theirs"
    with pytest.raises(RestorekitError, match="torn"):
        find_prior(str(torn))
    with pytest.raises(RestorekitError, match="not a prior of any kind known here"):
        find_prior(str(other))
    with pytest.raises(RestorekitError, match="No such file"):
        find_prior(str(tmp_path / "missing.theirs"))


def test_ours_is_opened_by_its_header(tmp_path: Path) -> None:
    found = find_prior("photo")
    assert (found.name, found.channels, found.levels) == ("photo", 3, (0.005, 150.0))
    assert found.files == (priors.shipped()["photo"],) and found.described["name"] == "photo"
    loaded = load_prior(found, CPU, "float32")
    assert loaded.halo == found.halo and loaded.bound and loaded.turned and loaded.window == 96


@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_the_closed_form_comes_through_a_restoration(grey: bool) -> None:
    """E[x_0 | y] = m + c / (c + s^2) (y - m), in tiles, and of a grey photo in a prior of colour.

    Of the mean of three channels the variance is a third, of the prior's and of what is added.
    """
    sigma, c = 0.1, 0.25
    prior = GaussianPrior(torch.full((1, 3, 1, 1), 0.2), c).prior()
    y = np.random.default_rng(0).random((40, 52, 1 if grey else 3)).astype(np.float32)
    restored = restorekit.restore("denoise", y, sigma=sigma, prior=prior, tile=32)
    s2 = (2 * sigma) ** 2 * (3 if grey else 1)
    np.testing.assert_allclose(restored, 0.6 + c / (c + s2) * (y - 0.6), atol=1e-5)
    large = restorekit.restore("superres", y[:8, :8], scale=2, prior=prior, sigma=0)
    assert large.shape == (16, 16, y.shape[2])


def test_a_mean_of_any_picture_comes_through_inpainting() -> None:
    """What the photo says nothing of is the prior's mean, in its own row; mirrored it is alike."""
    mean = torch.linspace(-0.5, 0.5, 3 * 24).reshape(1, 3, 24, 1).expand(-1, -1, -1, 32)
    prior = GaussianPrior(mean, 0.04).prior()
    photo = np.full((24, 32, 3), (0.5, 0.4, 0.6), np.float32)
    hole = np.zeros((24, 32), bool)
    hole[8:16, 8:24] = True
    restorer = Restorer(plugins.registry().task("inpaint"), Choices(prior=prior, sampler="hqs"))
    restorer.solver.recipe = dataclasses.replace(restorer.how.recipe, start=5.0)
    restored = restorer(Shot(photo), **resolve(restorer.task, {"mask": hole})).pixels
    expected = (mean[0].permute(1, 2, 0).numpy() + 1) / 2
    np.testing.assert_allclose(restored[hole], expected[hole], atol=1e-3)
    assert np.array_equal(restored[~hole], photo[~hole])


# --- Functions and bare denoisers ---------------------------------------------------------------


class Smoothing(torch.nn.Module):
    """A network of one layer, as trained at sigmas up to 0.2: the more noise, the smoother."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        how: Any = {"padding": 2, "padding_mode": "replicate", "groups": channels, "bias": False}
        self.mean = torch.nn.Conv2d(channels, channels, 5, **how)
        torch.nn.init.constant_(self.mean.weight, 1 / 25)

    def forward(self, noisy: torch.Tensor, sigma: float) -> torch.Tensor:
        assert 0 < sigma <= 0.2 and noisy.shape[2] % 4 == noisy.shape[3] % 4 == 0
        return torch.lerp(noisy, self.mean(noisy).to(noisy), min(5 * sigma, 1.0))


class Bare:
    """No more than the protocol has: no trait, not even the number of channels."""

    def __init__(self) -> None:
        self.schedule, self.asked = linear(), 0

    def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
        self.asked += 1
        return Prediction(torch.nn.functional.avg_pool2d(x_t, 5, 1, 2) / self.schedule(t)[0].item())

    def variance(self, t: torch.Tensor) -> torch.Tensor:
        return self.schedule.noise_to_signal(t) ** 2


def smoothing(channels: int = 3, halo: int | None = 2, **said: Any) -> Prior:
    how: dict[str, Any] = {"levels": (0, 0.2), "halo": halo, "channels": channels, "multiple": 4}
    return priors.from_denoiser(Smoothing(channels), **how | said)


NOISY = np.random.default_rng(1).normal(0.5, 0.1, (50, 71, 3)).astype(np.float32)


@pytest.mark.parametrize("grey", [False, True], ids=["colour photo", "grey photo"])
@pytest.mark.parametrize("channels", [3, 1], ids=["colour prior", "grey prior"])
def test_a_function_restores(channels: int, grey: bool) -> None:
    """Any photo by any prior; in tiles the same numbers."""
    photo = NOISY[..., 0] if grey else NOISY
    for task, options in (("denoise", {"sigma": 0.1}), ("denoise", {}), ("superres", {"scale": 2})):
        whole, tiled = (
            restorekit.restore(task, photo, prior=smoothing(channels), tile=tile, **options)
            for tile in (None, 32)
        )
        scale = options.get("scale", 1)
        assert whole.shape == (50 * scale, 71 * scale, *photo.shape[2:])
        np.testing.assert_allclose(tiled, whole, atol=2e-6)
        assert task == "superres" or whole.std() < 0.8 * photo.std()


def test_levels_beyond_those_learned() -> None:
    """More noise than f knows is asked about in a paler picture, less changes less."""
    denoiser = load_prior(smoothing(), CPU, "float32")
    noise = torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    for sigma, least, most in ((0.5, 0.0, 0.25), (0.2, 0.0, 0.25), (0.05, 0.7, 0.9)):
        t = denoiser.schedule.time_for(torch.tensor([2 * sigma]))
        x_t = denoiser.schedule(t)[0].float() * 2 * sigma * noise
        left = denoiser(x_t, t).x_0.std() / (2 * sigma)
        assert least <= left <= most
    both = denoiser.schedule.time_for(torch.tensor([0.2, 0.4]))
    x_t = torch.cat([noise, noise])
    together = denoiser(x_t, both).x_0
    for row, t in enumerate(both):
        alone = denoiser(x_t[row : row + 1], t[None]).x_0
        torch.testing.assert_close(together[row : row + 1], alone)


def test_reduced_precision_of_a_function() -> None:
    exact, reduced = (
        restorekit.restore("denoise", NOISY, sigma=0.1, prior=smoothing(), precision=precision)
        for precision in ("float32", "bfloat16")
    )
    assert 0 < np.abs(exact - reduced).max() < 0.02


def test_a_bare_denoiser_restores_in_windows(caplog: pytest.LogCaptureFixture) -> None:
    bare = Bare()
    prior = Prior("bare", (), 3, None, None, {}, lambda *_: bare)
    restorer = Restorer(plugins.registry().task("denoise"), Choices(prior=prior, tile=32))
    result = restorer(Shot(NOISY), sigma=0.1, strength=1.0, keep_grain=0.0)
    assert result.pixels.std() < 0.5 * NOISY.std() and "'bare' sees a picture" in caplog.text
    # Twice, as it does not take the level for a bound; each in windows, and none in tiles.
    assert result.nfe == 2 and bare.asked == 2 * 2 * 3
    for precision in ("float32", "bfloat16"):  # which it cannot have
        assert load_prior(prior, CPU, precision).precision == torch.float32


def test_one_that_sees_the_whole_cleans_in_windows_too() -> None:
    bare = Bare()
    prior = Prior("bare", (), 3, None, None, {}, lambda *_: bare)
    restorer = Restorer(plugins.registry().task("denoise"), Choices(prior=prior, tile=32))
    bare.asked = 0
    result = restorer(Shot(NOISY), sigma="auto", strength=2.0, keep_grain=0.0)
    assert result.nfe == 4 and bare.asked == 2 * 2 * 2 * 3  # twice what it takes at strength 1


def test_less_effort_is_less_of_a_prior_s_own_recipe() -> None:
    own = {"fidelity": Recipe("none", "ddim", steps=40)}
    prior = dataclasses.replace(smoothing(), recipes=own)
    task = plugins.registry().task("denoise")
    found = [Restorer(task, Choices(prior=prior, effort=e)).how.recipe for e in ("low", "normal")]
    assert [recipe.steps for recipe in found] == [20, 40]


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(RestorekitError, match=r"levels from 1 to 0\.2"):
        priors.from_denoiser(Smoothing(3), levels=(0.5, 0.1))
    small = priors.from_denoiser(lambda noisy, _: noisy[..., 1:], name="small")
    shapes = r"'small' gives .*\(1, 3, 50, 70\), where .*\(1, 3, 50, 71\)"
    with pytest.raises(RestorekitError, match=shapes):
        restorekit.restore("denoise", NOISY, sigma=0.1, prior=small)

    def load(device: torch.device, precision: str) -> Any:
        raise KeyError("m_head.weight")

    with pytest.raises(RestorekitError, match=r"'torn' cannot be loaded .*m_head"):
        Restorer(
            plugins.registry().task("denoise"),
            Choices(prior=Prior("torn", (), 3, None, None, {}, load)),
        )
