"""Noise that is not one number: every method against the closed-form posterior, or its refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from restorekit.choices import Choices
from restorekit.engine.conditioning import METHODS, Degradation, Observation
from restorekit.engine.covariance import Coloured, Covariance, Uneven
from restorekit.engine.noise import Noise
from restorekit.engine.operators import Grey, Identity, LinearOperator, Mask, Resample
from restorekit.engine.sampler import STEPS, geometric, karras, sample, times_for
from restorekit.restorer import Restorer
from restorekit.shot import Shot
from restorekit.task import Picture, Problem, Recipe, Task
from restorekit.testing import GaussianPrior, dense_noise

from .noisy import CAT, psnr

SIZE = (5, 4)
VARIANCE = 0.3


def seeded(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MEAN = 0.4 * seeded(1, 3, *SIZE)
OPERATORS: dict[str, LinearOperator] = {
    "identity": Identity(),
    "mask": Mask((seeded(1, 1, *SIZE) > -0.2).double()),
    "bicubic": Resample(SIZE, (3, 3)),
    "grey": Grey(Identity()),
    "grey mask": Grey(Mask((seeded(1, 1, *SIZE) > -0.2).double())),
}


def spectrum(*shape: int) -> torch.Tensor:
    """Any even one: eigenvalues from 0.001 to 0.2 or so."""
    power = (1.5 * seeded(*shape, seed=5)).exp() / 50
    return (power + power.flip(-2, -1).roll((1, 1), (-2, -1))) / 2


def uneven(*shape: int) -> torch.Tensor:
    """Deviations from 0, where y is exact, to 0.5."""
    map_ = seeded(1, 1, *shape[1:], seed=6).abs() / 4
    map_[..., 0, 0] = 0
    return map_.clamp(max=0.5)


NOISES = {
    "map": lambda shape: uneven(*shape),
    "coloured": lambda shape: Coloured(spectrum(*shape)),
    "coloured map": lambda shape: Coloured(spectrum(*shape), 4 * uneven(*shape)),
}


def problem(operator: str, noise: str) -> Observation:
    a = OPERATORS[operator]
    y = a(MEAN + VARIANCE**0.5 * seeded(1, 3, *SIZE, seed=4))
    sigma = NOISES[noise](y.shape[1:])
    c = dense_noise(sigma, y.shape)
    values, basis = torch.linalg.eigh(c)
    n = basis @ (values.clamp(min=0).sqrt() * seeded(y.numel(), seed=7))
    return Observation(y + n.reshape(y.shape), Degradation(a, sigma))


ONE_BY_ONE = ("ddnm", "dps")  # which weigh each value by itself, exactly where A A^T = I
CASES = [
    (method, operator, noise)
    for operator in OPERATORS
    for noise in NOISES
    for method in ("diffpir", "pigdm", *ONE_BY_ONE)
    if method not in ONE_BY_ONE or (noise == "map" and operator in ("identity", "mask"))
]


@pytest.mark.parametrize("step", ["dpmpp_2m", "hqs"])
@pytest.mark.parametrize(("method", "operator", "noise"), CASES)
def test_posterior_mean(step: str, method: str, operator: str, noise: str) -> None:
    """As in `test_posteriors`: the flow keeps the mean, hqs finds it from anywhere."""
    observation = problem(operator, noise)
    prior = GaussianPrior(MEAN, VARIANCE)
    wanted, _ = prior.posterior(observation)
    grid = geometric if step == "hqs" else karras
    end = float(prior.schedule.time_for(0.02))
    times = times_for(prior.schedule, 60, grid=grid, end=end)
    start = prior.schedule(times[0])[0] * wanted
    if step == "hqs":
        start = seeded(1, 3, *SIZE)
    found = sample(
        METHODS[method](prior, observation), start, times, step=STEPS[step], noise=Noise(0)
    )
    error = (found - wanted).abs().max() / VARIANCE**0.5
    assert error < 1e-2, f"off by {error:.1e} standard deviations"


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_map_is_the_number(method: str) -> None:
    a, prior, t = OPERATORS["mask"], GaussianPrior(MEAN, VARIANCE), torch.tensor(0.3)
    y, x_t = a(seeded(1, 3, *SIZE)), seeded(1, 3, *SIZE, seed=8)
    answers = [
        METHODS[method](prior, Observation(y, Degradation(a, sigma)))(x_t, t).x_0
        for sigma in (0.2, torch.full((1, 1, 1, 1), 0.2), Uneven(torch.full((1, 3, *SIZE), 0.2)))
    ]
    torch.testing.assert_close(answers[1], answers[0])
    torch.testing.assert_close(answers[2], answers[0])


@pytest.mark.parametrize("method", ONE_BY_ONE)
def test_correlated_noise_is_refused_where_it_cannot_be_weighed(method: str) -> None:
    with pytest.raises(ValueError, match="correlated noise; use 'diffpir'"):
        METHODS[method](GaussianPrior(MEAN, VARIANCE), problem("identity", "coloured"))


@pytest.mark.parametrize("noise", NOISES)
def test_whitened_noise_is_white(noise: str) -> None:
    """Noise and what whitens it have the covariance level^2 I, within 5 standard errors."""
    count, sigma = 20000, NOISES[noise]((3, *SIZE))
    c: Covariance = Uneven(sigma) if isinstance(sigma, torch.Tensor) else sigma
    n, level = 3 * SIZE[0] * SIZE[1], 1.1 * c.largest**0.5
    draws = c.whitening(level, Noise(0), MEAN.expand(count, -1, -1, -1)).reshape(count, n)
    found = draws.T @ draws / count + dense_noise(sigma, MEAN.shape)
    assert (found - level**2 * torch.eye(n)).abs().max() < 5 * level**2 * (2 / count) ** 0.5
    with pytest.raises(ValueError, match="only from"):
        c.whitening(0.5 * c.largest**0.5, Noise(0), MEAN)


def test_capped_noise_differs_only_above_the_level() -> None:
    c = Coloured(spectrum(3, *SIZE))
    level = float(c.power.median()) ** 0.5
    values, basis = torch.linalg.eigh(dense_noise(c, MEAN.shape))
    wanted = basis @ values.clamp(max=level**2).diag() @ basis.T
    torch.testing.assert_close(dense_noise(c.capped(level), MEAN.shape), wanted)
    for capped in (c.capped(level), Coloured(c.power, 4 * uneven(3, *SIZE)).capped(level)):
        assert capped.largest == pytest.approx(level**2)
        capped.whitening(level, Noise(0), MEAN)  # which is not refused


def test_noise_that_does_not_fit_is_refused() -> None:
    y = torch.zeros(1, 3, *SIZE)
    for sigma, message in (
        (torch.ones(SIZE), "a map is"),
        (-torch.ones(1, 1, *SIZE), "never negative"),
        (torch.ones(1, 1, 4, 5), "does not fit"),
    ):
        with pytest.raises(ValueError, match=message):
            Observation(y, Degradation(Identity(), sigma))
    with pytest.raises(ValueError, match="does not fit"):
        Observation(y, Degradation(Identity(), Coloured(spectrum(1, *SIZE))))
    with pytest.raises(ValueError, match="negative must be the same"):
        Coloured(seeded(1, *SIZE).abs())


def halves() -> np.ndarray:
    """(H, W): a picture whose right half is five times as noisy."""
    sigma = np.full(CAT.shape[:2], 5 / 255)
    sigma[:, CAT.shape[1] // 2 :] = 25 / 255
    return sigma


class Half(Task):
    name = "half"
    recipes = {"fidelity": Recipe("none", "ddim", steps=1)}

    def __init__(self, told: str) -> None:
        self.told = told

    def observe(self, picture: Picture, **options: Any) -> Problem:
        y = picture.pixels
        map_ = torch.from_numpy(2 * halves()).float()[None, None]
        power = torch.full(y.shape[1:], float(map_.max()) ** 2)
        sigma = {"map": map_, "coloured": Coloured(power, map_ / map_.max()), "peak": 50 / 255}
        problem = Observation(y, Degradation(Identity(), sigma[self.told]))
        return Problem(problem, (y.shape[2], y.shape[3]), y, 50 / 255, guess_is_state=True)


@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_a_photo_denoised_by_its_map(grey: bool) -> None:
    """Better than told its largest level, where it is less noisy; and no worse where it is not.

    A grey photo gets noise of colour, by its map too: the noisy half then borders on a quieter one
    than where the level is one for all, and a prior that takes its level for a bound counts that.
    """
    clean = CAT.mean(2, keepdims=True) if grey else CAT
    eps = np.random.default_rng(7).normal(size=clean.shape)
    seen = clean / 255 + halves()[..., None] * eps
    half = CAT.shape[1] // 2
    scores = {}
    for told, steps in (("peak", 1), ("map", 1), ("map", 4), ("coloured", 4)):
        restorer = Restorer(Half(told), Choices(prior="photo", steps=steps))
        restored = restorer(Shot(seen)).pixels
        scores[told, steps] = [
            psnr(restored[:, side], clean[:, side]) for side in (slice(half), slice(half, None))
        ]
    assert scores["map", 1][0] > scores["peak", 1][0] + 0.3
    assert scores["map", 1][1] > scores["peak", 1][1] - (0.5 if grey else 0.1)
    for told in ("map", "coloured"):  # sampled on from noise made white
        assert min(scores[told, 4]) > 27
