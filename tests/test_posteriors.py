"""Every sampler x method against the closed-form posterior of a Gaussian prior.

The prior is N(mu, c I), for which every pair that `exact_for` admits is exact: `diffpir` and
`pigdm` always, `ddnm` without noise or where A A^T = I, `dps` where A A^T = I, `replace` without
noise. What is left is the samplers' discretisation, for which each comparison states its
tolerance, in units of the prior's standard deviation. The other pairs are approximations; for
those `APPROXIMATE` states how far off they are.
"""

from __future__ import annotations

import pytest
import torch

from restorekit.engine.conditioning import METHODS, Degradation, Observation
from restorekit.engine.noise import Noise
from restorekit.engine.operators import Identity, LinearOperator, Mask, Nothing, Resample
from restorekit.engine.sampler import STEPS, geometric, karras, sample, times_for
from restorekit.engine.schedule import SCHEDULES
from restorekit.testing import GaussianPrior

SIZE = (5, 4)
VARIANCE = 0.3
DETERMINISTIC = ["ddim", "dpmpp_2m", "heun", "hqs", "snore"]
# Steps, and the share of the variance that so many steps may lose: first-order samplers lose
# about 1 / steps of it, whatever the method.
SAMPLING = {
    "ddpm": (200, 0.1),
    "ddim-eta1": (200, 0.1),
    "ddim": (200, 0.06),
    "dpmpp_2m": (60, 0.04),
    "heun": (60, 0.04),
}


def seeded(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


MEAN = 0.4 * seeded(1, 1, *SIZE)


def operators() -> dict[str, LinearOperator]:
    holes = (seeded(1, 1, *SIZE) > -0.2).double()
    return {
        "identity": Identity(),
        "mask": Mask(holes),
        "bicubic": Resample(SIZE, (3, 3)),
        "nothing": Nothing(SIZE),
    }


def problem(operator: LinearOperator, sigma: float) -> Observation:
    x = MEAN + VARIANCE**0.5 * seeded(1, 1, *SIZE).flip(-1)
    y = operator(x)
    return Observation(y + sigma * seeded(*y.shape), Degradation(operator, sigma))


def exact_for(method: str, operator: str, sigma: float) -> bool:
    if method == "none":
        return operator == "nothing"
    if method == "replace":
        return operator == "mask" and sigma == 0
    if method == "mapped":
        return operator == "mask"
    if operator == "bicubic":
        return method in ("diffpir", "pigdm") or (method == "ddnm" and sigma == 0)
    # Outside a mask nothing was measured, which a scalar gain or variance cannot know of; but
    # there A^+ and A^T give nothing either.
    return True


CASES = [
    (method, operator, sigma)
    for method in METHODS
    for operator in operators()
    for sigma in (0.0, 0.2)
    if exact_for(method, operator, sigma)
]


@pytest.mark.parametrize("step", DETERMINISTIC)
@pytest.mark.parametrize(("method", "operator", "sigma"), CASES)
def test_deterministic_mean(step: str, method: str, operator: str, sigma: float) -> None:
    """The flow maps the mean of x_1 to the posterior mean; started there, it must arrive there.

    hqs and snore keep no noise, so from any start they settle at the posterior mean.
    """
    observation = problem(operators()[operator], sigma)
    prior = GaussianPrior(MEAN, VARIANCE)
    wanted, _ = prior.posterior(observation)
    settles = step in ("hqs", "snore")
    grid = geometric if settles else karras
    end = float(prior.schedule.time_for(0.02))
    times = times_for(prior.schedule, 60, grid=grid, end=end)
    start = prior.schedule(times[0])[0] * wanted
    if settles:
        start = seeded(1, 1, *SIZE)
    found = sample(
        METHODS[method](prior, observation), start, times, step=STEPS[step], noise=Noise(0)
    )
    error = (found - wanted).abs().max() / VARIANCE**0.5
    assert error < 1e-2, f"off by {error:.1e} standard deviations"


@pytest.mark.parametrize("step", list(SAMPLING))
@pytest.mark.parametrize(("method", "operator", "sigma"), CASES)
def test_samples_have_the_posteriors_mean_and_variance(
    step: str, method: str, operator: str, sigma: float
) -> None:
    """Many samples at once: mean within 5 standard errors, variance as `SAMPLING` states."""
    observation = problem(operators()[operator], sigma)
    prior = GaussianPrior(MEAN, VARIANCE)
    mean, variance = prior.posterior(observation)
    count, (steps, loss) = 1500, SAMPLING[step]
    many = Observation(
        observation.y.expand(count, -1, -1, -1).contiguous(), observation.degradation
    )
    schedule = prior.schedule
    times = times_for(schedule, steps, grid=karras, end=float(schedule.time_for(0.02)))
    noise = Noise(1, step)
    x = noise.normal((count, 1, *SIZE)).double()
    found = sample(METHODS[method](prior, many), x, times, step=STEPS[step], noise=noise)
    spread = found.var(0)
    allowed = 5 * (variance[0].clamp(min=1e-4) / count).sqrt() + 0.01 * VARIANCE**0.5
    assert ((found.mean(0) - mean[0]).abs() <= allowed).all()
    assert spread.mean() == pytest.approx(variance.mean().item(), rel=loss, abs=1e-3)


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_unconditional_is_the_prior_under_every_schedule(name: str) -> None:
    prior = GaussianPrior(MEAN, VARIANCE, SCHEDULES[name]())
    observation = Observation(MEAN[:, :, :0], Degradation(Nothing(SIZE)))
    noise = Noise(2)
    x = noise.normal((4000, 1, *SIZE)).double()
    times = times_for(prior.schedule, 60, grid=karras, end=float(prior.schedule.time_for(0.02)))
    found = sample(
        METHODS["diffpir"](prior, observation), x, times, step=STEPS["heun"], noise=noise
    )
    assert (found.mean(0) - MEAN[0]).abs().max() < 5 * (VARIANCE / 4000) ** 0.5
    assert found.var(0).mean() == pytest.approx(VARIANCE, rel=0.05)


def test_matched_noise_denoising_is_the_mmse_estimate_in_one_evaluation() -> None:
    sigma = 0.35
    observation = problem(Identity(), sigma)
    prior = GaussianPrior(MEAN, VARIANCE)
    t = prior.schedule.time_for(sigma)
    start = prior.schedule(t)[0] * observation.y
    found = sample(prior, start, [float(t), 0.0], step=STEPS["ddim"], noise=Noise(0))
    torch.testing.assert_close(found, prior.posterior(observation)[0])


# Pairs that are not exact, with the share of the prior mean's squared error that is left of it:
# a scalar gain or variance stands where the operator's singular values differ, or noise in the
# known pixels is taken for picture.
APPROXIMATE = {
    ("ddnm", "bicubic", 0.2): 0.08,
    ("dps", "bicubic", 0.0): 0.004,
    ("dps", "bicubic", 0.2): 0.03,
    ("replace", "mask", 0.2): 0.03,
}


@pytest.mark.parametrize("step", ["ddim", "dpmpp_2m", "heun", "hqs"])
@pytest.mark.parametrize("case", list(APPROXIMATE))
def test_approximate_pairs_come_near(step: str, case: tuple[str, str, float]) -> None:
    method, operator, sigma = case
    observation = problem(operators()[operator], sigma)
    prior = GaussianPrior(MEAN, VARIANCE)
    wanted, _ = prior.posterior(observation)
    times = times_for(prior.schedule, 60, grid=karras, end=float(prior.schedule.time_for(0.02)))
    start = prior.schedule(times[0])[0] * wanted
    found = sample(
        METHODS[method](prior, observation), start, times, step=STEPS[step], noise=Noise(0)
    )
    left = (found - wanted).square().mean() / (MEAN - wanted).square().mean()
    assert left < APPROXIMATE[case]
