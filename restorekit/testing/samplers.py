"""Does a sampler draw from the law that its denoiser knows, or settle at its mean?"""

from __future__ import annotations

import torch
from torch import Tensor

from ..engine.conditioning import Degradation, Observation, diffpir
from ..engine.declared import of_step
from ..engine.denoiser import Prediction
from ..engine.noise import Noise
from ..engine.operators import Mask
from ..engine.sampler import Step, geometric, karras, sample, times_for
from .gaussian import GaussianPrior
from .methods import SIZE, VARIANCE, check_options, name_of, seeded

COUNT, STEPS = 1500, 100
LOST = 0.2  # of the variance; first-order samplers lose more than 1 / steps of it


def check_sampler(step: Step) -> None:
    """Asserts that a step function solves the reverse process.

    With the Gaussian prior, given some noisy pixels of a picture, whose posterior is known:

    - Samplers that keep noise in the state give samples of its mean, within five standard errors,
      and its variance, within a fifth. Those that keep none settle at its mean from anywhere.
    - A step costs the evaluations that its trait says; the last may do with fewer.
    - The same `Noise` gives the same numbers, whatever torch's global generator is at; the state
      stays as it was, and its type and shape are kept to the clean end.
    - Every option has a line in the docstring.

    Args:
        step: with its traits, see `restorekit.engine.declared`; a partial sets options.
    """
    name = name_of(step)
    check_options(step)
    prior = Counting(torch.zeros(1, 1, *SIZE, dtype=torch.float64), VARIANCE)
    mask = Mask((seeded(1, 1, *SIZE) > -0.2).double())
    y = mask(VARIANCE**0.5 * seeded(1, 1, *SIZE).flip(-1) + 0.2 * seeded(1, 1, *SIZE))
    mean, variance = prior.posterior(Observation(y, Degradation(mask, 0.2)))
    settles = of_step(step).noiseless
    count = 1 if settles else COUNT
    many = Observation(y.expand(count, -1, -1, -1).contiguous(), Degradation(mask, 0.2))
    end = float(prior.schedule.time_for(0.02))
    times = times_for(prior.schedule, STEPS, grid=geometric if settles else karras, end=end)
    x = Noise(1).normal((count, 1, *SIZE)).double()
    kept = x.clone()

    found = sample(diffpir(prior, many), x, times, step=step, noise=Noise(2))
    assert torch.equal(x, kept), f"sampler {name} changed the state it was given"
    assert found.isfinite().all(), f"sampler {name} gives numbers that are not finite"
    deviation = VARIANCE**0.5
    if settles:
        gap = (found - mean).abs().max().item() / deviation
        assert gap < 0.02, f"sampler {name} settles {gap:.3g} deviations from the posterior mean"
    else:
        error = ((found.mean(0) - mean[0]).abs() / deviation).max().item()
        allowed = 5 * (variance.max().item() / count) ** 0.5 / deviation + 0.01
        assert error <= allowed, f"sampler {name}: its mean is off by {error:.3g} deviations"
        ratio = (found.var(0).mean() / variance.mean()).item()
        assert abs(ratio - 1) < LOST, f"sampler {name} draws {ratio:.2f} times the variance"
    _evaluations(name, step, prior)
    _repeats(name, step)


class Counting(GaussianPrior):
    """Counts its evaluations."""

    asked = 0

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        self.asked += 1
        return super().__call__(x_t, t)


def _evaluations(name: str, step: Step, prior: Counting) -> None:
    counts = []
    for steps in (3, 4, 5):
        prior.asked = 0
        x = Noise(0).normal((1, 1, *SIZE)).double()
        sample(prior, x, times_for(prior.schedule, steps), step=step, noise=Noise(0))
        counts.append(prior.asked)
    said = of_step(step).evaluations
    assert counts[1] - counts[0] == counts[2] - counts[1] == said, (
        f"sampler {name} says {said} evaluations a step, and takes {counts} for 3, 4 and 5 steps"
    )


def _repeats(name: str, step: Step) -> None:
    prior = GaussianPrior(torch.zeros(1, 3, *SIZE), VARIANCE)
    x = Noise(0).normal((2, 3, *SIZE))
    times = times_for(prior.schedule, 4)
    state = torch.get_rng_state()
    answers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        answers.append(sample(prior, x, times, step=step, noise=Noise(5)))
    torch.set_rng_state(state)
    assert torch.equal(*answers), f"sampler {name} draws from elsewhere than its Noise"
    x_s, p = step(prior, x, times[-2], times[-1], Noise(5), None)
    for what, got in (("x_s", x_s), ("x_0", p.x_0)):
        assert got.shape == x.shape, f"sampler {name}: {what} is {tuple(got.shape)}"
        assert got.dtype == x.dtype, f"sampler {name}: {what} is {got.dtype}, not {x.dtype}"
        assert got.isfinite().all(), f"sampler {name}: {what} is not finite at the clean end"
