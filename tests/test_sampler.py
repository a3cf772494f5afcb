"""The loop, the grids and the noise."""

from __future__ import annotations

import functools

import pytest
import torch

from restorekit.engine.denoiser import Prediction
from restorekit.engine.noise import Noise
from restorekit.engine.sampler import (
    GRIDS,
    STEPS,
    Cancelled,
    sample,
    times_at,
    times_for,
    travelling,
)
from restorekit.engine.schedule import linear
from restorekit.testing import GaussianPrior

PRIOR = GaussianPrior(torch.zeros(1, 3, 4, 4), 0.25)


@pytest.mark.parametrize("grid", list(GRIDS))
def test_grids_fall_from_start_to_end(grid: str) -> None:
    times = times_for(linear(), 7, grid=GRIDS[grid], start=0.8, end=0.01)
    assert len(times) == 8
    assert times[0] == pytest.approx(0.8) and times[-2] == pytest.approx(0.01) and times[-1] == 0
    assert (times.diff() < 0).all()
    assert times_for(linear(), 1, grid=GRIDS[grid], start=0.3).tolist() == [0.3, 0.0]


def test_times_at_levels_are_the_first_of_them_or_lie_between() -> None:
    schedule, levels = linear(), (0.4, 0.1, 0.05)

    def ratios(steps: int) -> list[float]:
        times = times_at(schedule, steps, levels)
        assert len(times) == steps + 1 and times[-1] == 0
        return schedule.noise_to_signal(times[:-1]).tolist()

    assert ratios(3) == pytest.approx(levels, rel=1e-3)
    assert ratios(1) == pytest.approx([0.4], rel=1e-3)
    assert ratios(5) == pytest.approx([0.4, 0.2, 0.1, 0.05 * 2**0.5, 0.05], rel=1e-3)
    single = times_at(schedule, 3, (0.2,))
    assert schedule.noise_to_signal(single[:-1]).tolist() == pytest.approx([0.2] * 3, rel=1e-3)


def test_last_prediction_is_returned_not_a_noisy_state() -> None:
    x = torch.randn(1, 3, 4, 4)
    found = sample(PRIOR, x, [0.5, 0.2], step=STEPS["ddpm"], noise=Noise(0))
    torch.testing.assert_close(found, PRIOR(x, torch.tensor(0.5)).x_0)


def test_time_travel_diffuses_forward_without_evaluating() -> None:
    times = travelling(torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]), length=2, repeats=2)
    assert times.tolist() == [1.0, 0.75, 0.5, 1.0, 0.75, 0.5, 0.25, 0.5, 0.25, 0.0]
    calls = []

    class Watched(GaussianPrior):
        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            calls.append(float(t))
            return super().__call__(x_t, t)

    watched = Watched(PRIOR.mean, 0.25)
    sample(watched, torch.randn(1, 3, 4, 4), times, step=STEPS["ddpm"], noise=Noise(0))
    assert calls == [1.0, 0.75, 1.0, 0.75, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("name", ["hqs", "snore"])
@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_a_share_of_each_change_is_carried_on(name: str, momentum: float) -> None:
    """x_s = alpha_s (x_0 + m (x_0 - x_0 before)), but for the first step and after time travel."""
    schedule, asked = linear(), []
    told = {1.0: 0.2, 0.75: 0.6, 0.5: -0.4}

    class Telling(GaussianPrior):
        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            asked.append(x_t)
            return Prediction(torch.full_like(x_t, told[float(t)]))

    class Silent(Noise):
        def like(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros_like(x)

    step = functools.partial(STEPS[name], momentum=momentum)
    prior = Telling(PRIOR.mean, 0.25)
    start, times = torch.ones(1, 3, 4, 4), [1.0, 0.75, 0.5, 0.75, 0.5, 0.25]
    given = sample(prior, start, times, step=step, noise=Silent(0))
    alpha = {t: float(schedule(torch.tensor(t))[0]) for t in times}
    carried = 0.6 + momentum * (0.6 - 0.2)
    expected = 1.0, alpha[0.75] * 0.2, alpha[0.75] * carried, alpha[0.5] * 0.6
    states = asked[:: 2 if name == "snore" else 1]
    for state, value in zip(states, expected, strict=True):
        torch.testing.assert_close(state, torch.full_like(state, value), rtol=1e-4, atol=1e-6)
    assert (given == told[0.5]).all(), "the answer is no further than the last prediction"


def test_progress_counts_and_cancels() -> None:
    seen = []

    def progress(done: int, total: int) -> bool:
        seen.append((done, total))
        return done < 2

    times = times_for(linear(), 5)
    with pytest.raises(Cancelled):
        sample(
            PRIOR,
            torch.zeros(1, 3, 4, 4),
            times,
            step=STEPS["ddim"],
            noise=Noise(0),
            progress=progress,
        )
    assert seen == [(0, 5), (1, 5), (2, 5)]


def test_times_that_never_fall_are_refused() -> None:
    with pytest.raises(ValueError, match="fall"):
        sample(PRIOR, torch.zeros(1, 3, 4, 4), [0.1, 0.4], step=STEPS["ddim"], noise=Noise(0))


def test_noise_depends_on_seed_name_and_draw_alone() -> None:
    first = Noise(1, "a.png")
    draws = [first.normal((2, 3)), first.normal((2, 3))]
    torch.manual_seed(123)  # the global generator has no say
    second = Noise(1, "a.png")
    assert all(torch.equal(draw, second.normal((2, 3))) for draw in draws)
    others = [draws[1], Noise(2, "a.png").normal((2, 3)), Noise(1, "b.png").normal((2, 3))]
    others.append(Noise(1, "a.png").branch("x").normal((2, 3)))
    assert not any(torch.equal(draws[0], other) for other in others)
