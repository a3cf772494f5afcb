"""The forward process against its definitions (DDPM section 2)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.engine.schedule import SCHEDULES, Karras, Schedule, cosine, linear

ALL = pytest.mark.parametrize("name", list(SCHEDULES))


def test_default_is_the_papers() -> None:
    betas = linear().betas
    assert len(betas) == 1000
    torch.testing.assert_close(betas, torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64))
    torch.testing.assert_close(linear().abar, torch.cumprod(1 - betas, 0))


@ALL
def test_one_step_kernel_composes_to_the_closed_form(name: str) -> None:
    """q(x_t | x_0) is the product of the one-step kernels, not one of them (a common error)."""
    schedule = SCHEDULES[name]()
    mean = torch.ones((), dtype=torch.float64)
    variance = torch.zeros((), dtype=torch.float64)
    if isinstance(schedule, Karras):  # its clean end holds sigma_min
        alpha, sigma = schedule(0.0)
        mean, variance = alpha.clone(), sigma**2
    for i in range(1, schedule.T + 1):
        beta = schedule.betas[i - 1]
        kernel = schedule.transition(mean, (i - 1) / schedule.T, i / schedule.T)
        torch.testing.assert_close(kernel.mean, (1 - beta).sqrt() * mean)
        mean, variance = kernel.mean, (1 - beta) * variance + kernel.variance
        torch.testing.assert_close(kernel.variance, beta, rtol=1e-6, atol=1e-12)
        if i in (1, 7, 500, schedule.T):
            alpha, sigma = schedule(i / schedule.T)
            torch.testing.assert_close(mean, alpha)
            torch.testing.assert_close(variance, sigma**2)
    beta = schedule.betas[499]
    assert abs(schedule(0.5)[0] - (1 - beta).sqrt()) > 0.05


@ALL
def test_posterior_is_bayes_rule(name: str) -> None:
    """q(x_s | x_t, x_0) is proportional to q(x_t | x_s) q(x_s | x_0), for near and far s."""
    schedule = SCHEDULES[name]()
    x_0, x_t = torch.tensor([0.3, -0.8]).double(), torch.tensor([-1.1, 0.4]).double()
    for s, t in [(0.499, 0.5), (0.1, 0.9), (0.001, 0.002)]:
        ratio = schedule(t)[0] / schedule(s)[0]
        noise = schedule.transition(x_0, s, t).variance
        alpha_s, sigma_s = schedule(s)
        precision = 1 / sigma_s**2 + ratio**2 / noise
        mean = (alpha_s * x_0 / sigma_s**2 + ratio * x_t / noise) / precision
        found = schedule.posterior(x_t, x_0, s, t)
        torch.testing.assert_close(found.mean, mean)
        torch.testing.assert_close(found.variance, 1 / precision)


def test_posterior_is_ddpm_equation_7() -> None:
    schedule, i = linear(), 600
    beta, abar, before = schedule.betas[i - 1], schedule.abar[i - 1], schedule.abar[i - 2]
    x_0, x_t = torch.tensor(0.7).double(), torch.tensor(-0.2).double()
    mean = (
        before.sqrt() * beta / (1 - abar) * x_0
        + (1 - beta).sqrt() * (1 - before) / (1 - abar) * x_t
    )
    found = schedule.posterior(x_t, x_0, (i - 1) / 1000, i / 1000)
    torch.testing.assert_close(found.mean, mean)
    torch.testing.assert_close(found.variance, (1 - before) / (1 - abar) * beta)
    naive = (x_t - (1 - abar).sqrt() * x_0) / (1 - beta).sqrt()
    assert abs(found.mean - naive) > 0.1


@ALL
@settings(max_examples=50, deadline=None)
@given(t=st.floats(0.0, 1.0))
def test_time_for_inverts_the_noise(name: str, t: float) -> None:
    schedule = SCHEDULES[name]()
    found = schedule.time_for(schedule.noise_to_signal(t))
    assert abs(float(found) - t) < 1e-6


@ALL
def test_times_outside_the_range_are_clamped(name: str) -> None:
    schedule = SCHEDULES[name]()
    assert schedule.time_for(0.0) == 0
    assert schedule.time_for(1e9) == 1
    assert schedule.noise_to_signal(torch.rand(3, 2)).shape == (3, 2)
    assert schedule.noise_to_signal(torch.linspace(0, 1, 500)).diff().min() > 0


def test_karras_is_edm_equation_5() -> None:
    t = torch.tensor(0.25).double()
    wanted = (0.002 ** (1 / 7) + t * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 7
    torch.testing.assert_close(Karras().noise_to_signal(t), wanted)


def test_cosine_is_improved_ddpm() -> None:
    t = torch.tensor(0.4).double()
    f = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2
    f_0 = torch.cos(torch.tensor(0.008).double() / 1.008 * torch.pi / 2) ** 2
    torch.testing.assert_close(cosine()(0.4)[0] ** 2, f / f_0)
    assert cosine().betas.max() <= 0.999


@pytest.mark.parametrize("table", [[0.0], [0.0, -1.0, -1.0], [0.1, -1.0], [0.0, float("nan")]])
def test_impossible_tables_are_refused(table: list[float]) -> None:
    with pytest.raises(ValueError):
        Schedule(torch.tensor(table))
