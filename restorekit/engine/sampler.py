"""The reverse process: time grids, step functions, and the one loop that runs them."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from torch import Tensor

from .declared import Range, StepTraits, marked
from .denoiser import Denoiser, Prediction
from .noise import Noise
from .schedule import Schedule, over

Progress = Callable[[float, int], bool | None]


class Cancelled(Exception):  # noqa: N818 - not an error, what was asked for
    """The progress callback asked to stop."""


@dataclass(frozen=True)
class Previous:
    """The step before: its time and what the denoiser said there."""

    t: Tensor
    prediction: Prediction


class Step(Protocol):
    """A sampler: one step of the reverse process, from the time t to an earlier one, s.

    Traits of the function (`declared.StepTraits`) say what it is like; its keyword-only parameters,
    which have defaults, are its options.
    """

    def __call__(
        self,
        denoiser: Denoiser,
        x_t: Tensor,
        t: Tensor,
        s: Tensor,
        noise: Noise,
        previous: Previous | None,
        /,
    ) -> tuple[Tensor, Prediction]:
        """Gives x_s, of x_t's shape and type, and what the denoiser said on the way.

        Args:
            denoiser: to be asked as denoiser(x_t, t); a posterior, where there is a measurement.
                `denoiser.schedule(t)` is (alpha_t, sigma_t).
            x_t: (B, C, H, W): alpha_t x_0 + sigma_t eps; alpha_t x_0 where the step is `noiseless`.
                It stays as it is.
            t, s: (), float64 on [0, 1], s < t; 0 is the clean end, where sigma is 0.
                `schedule.over(alpha, x_t)` lets numbers of a time multiply a picture.
            noise: where all randomness comes from: `noise.like(x_t)`.
            previous: of the step before; None at the start and after time travel.
        """
        ...


def sample(
    denoiser: Denoiser,
    x: Tensor,
    times: Sequence[float] | Tensor,
    *,
    step: Step,
    noise: Noise,
    progress: Progress | None = None,
) -> Tensor:
    """Runs the reverse process from x, a state at times[0], and gives the last predicted x_0.

    Args:
        denoiser: a prior, or a posterior.
        x: (B, C, H, W), a state at times[0].
        times: in [0, 1]. Where they fall, `step` is taken; where they rise (time travel:
            RePaint, DDNM) the state is diffused forward, which costs no evaluation. The last
            time is where the final step would lead; what is returned is x_0 as seen from there.
        step: one of STEPS, or any function of that form.
        noise: where randomness comes from.
        progress: called with (steps done, in all), first with none; returning False stops.

    Raises:
        Cancelled: if `progress` returned False.
        ValueError: for fewer than two times, or none that falls.
    """
    grid = torch.as_tensor(times, dtype=torch.float64)
    pairs = list(itertools.pairwise(grid))
    falling = sum(bool(s < t) for t, s in pairs)
    if not falling:
        raise ValueError("the times must fall at least once")
    done, previous, prediction = 0, None, None
    if progress is not None and progress(0, falling) is False:
        raise Cancelled
    for t, s in pairs:
        if s >= t:
            forward = denoiser.schedule.transition(x, t, s)
            x = forward.mean + forward.variance.sqrt() * noise.like(x)
            previous = None
            continue
        x, prediction = step(denoiser, x, t, s, noise, previous)
        previous = Previous(t, prediction)
        done += 1
        if progress is not None and progress(done, falling) is False:
            raise Cancelled
    assert prediction is not None
    return prediction.x_0


def _eps(schedule: Schedule, x_t: Tensor, x_0: Tensor, t: Tensor) -> Tensor:
    alpha, sigma = schedule(t)
    return (x_t - over(alpha, x_t) * x_0) / over(sigma, x_t)


def ancestral(
    denoiser: Denoiser,
    x_t: Tensor,
    t: Tensor,
    s: Tensor,
    noise: Noise,
    previous: Previous | None,
    *,
    large: bool = False,
) -> tuple[Tensor, Prediction]:
    """DDPM's reverse step p(x_s | x_t) = N(mu_theta, sigma_theta^2) (eq. 7, algorithm 2).

    The variance is the learned one where the network learned it (improved DDPM eq. 15), else
    beta~ or beta.

    Args:
        large: take beta, the larger of the two, where no variance was learned.
    """
    schedule = denoiser.schedule
    p = denoiser(x_t, t)
    mean = schedule.posterior(x_t, p.x_0, s, t).mean
    if p.variance_fraction is not None:
        deviation = (schedule.log_variance(p.variance_fraction, s, t) / 2).exp()
    else:
        upper, lower = schedule.reverse_variances(s, t)
        deviation = over((upper if large else lower).sqrt(), x_t)
    return mean + deviation * noise.like(x_t), p


def ddim(
    denoiser: Denoiser,
    x_t: Tensor,
    t: Tensor,
    s: Tensor,
    noise: Noise,
    previous: Previous | None,
    *,
    eta: Annotated[float, Range(0, 1)] = 0.0,
    zeta: Annotated[float, Range(0, 1)] = 0.0,
) -> tuple[Tensor, Prediction]:
    """The implicit step (DDIM eq. 12): deterministic for eta = 0, ancestral for eta = 1.

    Args:
        eta: how much of the ancestral step's noise is drawn anew.
        zeta: the share of the remaining noise's variance that is drawn anew (DiffPIR algorithm 1).
    """
    schedule = denoiser.schedule
    p = denoiser(x_t, t)
    alpha, sigma = schedule(s)
    if sigma == 0:  # the clean end: nothing of x_t goes on
        return p.x_0, p
    eps = _eps(schedule, x_t, p.x_0, t)
    beta = -torch.expm1(schedule.log_abar_at(t) - schedule.log_abar_at(s))
    spread = eta**2 * beta * sigma**2 / schedule(t)[1] ** 2  # eq. 16, squared
    spread = spread + zeta * (sigma**2 - spread)
    rest = (sigma**2 - spread).clamp(min=0).sqrt()
    x_s = over(alpha, x_t) * p.x_0 + over(rest, x_t) * eps
    if eta or zeta:
        x_s = x_s + over(spread.sqrt(), x_t) * noise.like(x_t)
    return x_s, p


def dpmpp_2m(
    denoiser: Denoiser, x_t: Tensor, t: Tensor, s: Tensor, noise: Noise, previous: Previous | None
) -> tuple[Tensor, Prediction]:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): second order, one evaluation a step."""
    schedule = denoiser.schedule
    p = denoiser(x_t, t)
    x_0 = p.x_0
    (alpha_s, sigma_s), (_, sigma_t) = schedule(s), schedule(t)
    half_log_snr_t, half_log_snr_s = schedule.snr(t).log() / 2, schedule.snr(s).log() / 2
    h = half_log_snr_s - half_log_snr_t
    if previous is not None and torch.isfinite(h):
        h_before = half_log_snr_t - schedule.snr(previous.t).log() / 2
        weight = over(h / (2 * h_before), x_t)
        x_0 = (1 + weight) * x_0 - weight * previous.prediction.x_0
    decay = over(sigma_s / sigma_t, x_t)
    return decay * x_t - over(alpha_s * torch.expm1(-h), x_t) * x_0, p


@marked(StepTraits(evaluations=2))
def heun(
    denoiser: Denoiser, x_t: Tensor, t: Tensor, s: Tensor, noise: Noise, previous: Previous | None
) -> tuple[Tensor, Prediction]:
    """EDM's second-order step (Karras et al. 2022, algorithm 1), in x / alpha over sigma / alpha.

    Two evaluations a step, one where s is the clean end.
    """
    schedule = denoiser.schedule
    p = denoiser(x_t, t)
    before, after = schedule.noise_to_signal(t), schedule.noise_to_signal(s)
    alpha_t, alpha_s = over(schedule(t)[0], x_t), over(schedule(s)[0], x_t)
    x = x_t / alpha_t
    slope = (x - p.x_0) / over(before, x_t)
    moved = x + over(after - before, x_t) * slope
    if after > 1e-3 * before:
        p = denoiser(alpha_s * moved, s)
        slope = (slope + (moved - p.x_0) / over(after, x_t)) / 2
        moved = x + over(after - before, x_t) * slope
    return alpha_s * moved, p


@marked(StepTraits(noiseless=True, turning=True, exposed=True))
def hqs(
    denoiser: Denoiser,
    x_t: Tensor,
    t: Tensor,
    s: Tensor,
    noise: Noise,
    previous: Previous | None,
    *,
    momentum: Annotated[float, Range(0, 1)] = 0.4,
) -> tuple[Tensor, Prediction]:
    """Plug-and-play half-quadratic splitting (DPIR, Zhang et al. 2021, eq. 6): x_s = alpha_s x_0.

    Nothing of the noise goes on, so the iterates settle where denoising and the data agree. But
    the denoiser is told of noise that is not there: it must take what it is told for an upper
    bound, as the shipped priors do, or see `snore`.

    Args:
        momentum: how much of each change of x_0 is carried on, which saves steps; DPIR has none.
    """
    p = denoiser(x_t, t)
    return over(denoiser.schedule(s)[0], x_t) * _ahead(p.x_0, previous, momentum), p


@marked(StepTraits(noiseless=True, turning=True, evaluations=2))
def snore(
    denoiser: Denoiser,
    x_t: Tensor,
    t: Tensor,
    s: Tensor,
    noise: Noise,
    previous: Previous | None,
    *,
    momentum: Annotated[float, Range(0, 1)] = 0.8,
) -> tuple[Tensor, Prediction]:
    """Stochastic denoising regularisation (SNORE, Renaud et al. 2024): hqs that noises first.

    The state is alpha_t x without noise, as in `hqs`, but the denoiser is asked at alpha_t x +- a
    fresh sigma_t eps and the two answers are averaged. So it only ever sees what it was trained
    on (asked about pictures less noisy than it is told, a network may answer anything), and the
    noise cancels to first order.

    Args:
        momentum: how much of each change of x_0 is carried on, which saves steps.
    """
    schedule = denoiser.schedule
    eps = over(schedule(t)[1], x_t) * noise.like(x_t)
    x_0 = (denoiser(x_t + eps, t).x_0 + denoiser(x_t - eps, t).x_0) / 2
    return over(schedule(s)[0], x_t) * _ahead(x_0, previous, momentum), Prediction(x_0)


def _ahead(x_0: Tensor, previous: Previous | None, momentum: float) -> Tensor:
    """x_0 and a share of its change since the step before."""
    return x_0 if previous is None else x_0 + momentum * (x_0 - previous.prediction.x_0)


STEPS: dict[str, Step] = {
    "ddpm": ancestral,
    "ddpm-large": functools.partial(ancestral, large=True),
    "ddim": ddim,
    "ddim-eta1": functools.partial(ddim, eta=1.0),
    "dpmpp_2m": dpmpp_2m,
    "heun": heun,
    "hqs": hqs,
    "snore": snore,
}

Grid = Callable[[Schedule, float, float, int], Tensor]


def uniform(schedule: Schedule, start: float, end: float, steps: int) -> Tensor:
    """Times in equal steps."""
    return torch.linspace(start, end, steps, dtype=torch.float64)


def quadratic(schedule: Schedule, start: float, end: float, steps: int) -> Tensor:
    """Times whose square roots fall in equal steps (DDIM, appendix D)."""
    return torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64).square()


def karras(schedule: Schedule, start: float, end: float, steps: int) -> Tensor:
    """Times whose noise-to-signal ratios follow EDM eq. 5 with rho = 7."""
    rho = 7.0
    high, low = (float(schedule.noise_to_signal(t)) ** (1 / rho) for t in (start, end))
    return schedule.time_for(torch.linspace(high, low, steps, dtype=torch.float64) ** rho)


def geometric(schedule: Schedule, start: float, end: float, steps: int) -> Tensor:
    """Times whose noise-to-signal ratios fall by equal factors (DPIR section 4.2)."""
    high, low = (math.log(max(float(schedule.noise_to_signal(t)), 1e-4)) for t in (start, end))
    return schedule.time_for(torch.linspace(high, low, steps, dtype=torch.float64).exp())


GRIDS: dict[str, Grid] = {
    "uniform": uniform,
    "quadratic": quadratic,
    "karras": karras,
    "geometric": geometric,
}


def times_for(
    schedule: Schedule,
    steps: int,
    *,
    grid: Grid = uniform,
    start: float = 1.0,
    end: float | None = None,
) -> Tensor:
    """`steps` times from `start` to `end`, then 0: `steps` evaluations of a one-evaluation step.

    Args:
        start: time of the first evaluation.
        end: time of the last evaluation; by default one equal step above 0, as DDIM has it.
    """
    if steps < 1:
        raise ValueError("at least one step is needed")
    last = start / steps if end is None else min(end, start)
    inner = torch.tensor([start], dtype=torch.float64)
    if steps > 1:
        inner = grid(schedule, start, last, steps)
    return torch.cat([inner, inner.new_zeros(1)])


def times_at(schedule: Schedule, steps: int, levels: Sequence[float]) -> Tensor:
    """`steps` times at noise-to-signal ratios, then 0.

    Args:
        levels: falling. Fewer steps than these take the first; for more, others are put between
            them, in even steps of their logarithm's order.
    """
    logs = torch.tensor(levels, dtype=torch.float64).log()
    if steps <= len(logs):
        logs = logs[:steps]
    else:
        place = torch.linspace(0, len(logs) - 1, steps, dtype=torch.float64)
        below = place.floor().long().clamp(max=max(len(logs) - 2, 0))
        above = (below + 1).clamp(max=len(logs) - 1)
        logs = torch.lerp(logs[below], logs[above], place - below)
    return torch.cat([schedule.time_for(logs.exp()), logs.new_zeros(1)])


def travelling(times: Tensor, length: int, repeats: int) -> Tensor:
    """Time travel (RePaint algorithm 1; DDNM section 3.3): every `length` steps, again.

    Each stretch of `length` falling times is walked `repeats` times before going on.
    """
    if length < 1 or repeats < 1:
        raise ValueError("length and repeats must be at least 1")
    walked = [float(times[0])]
    for first in range(0, len(times) - 2, length):
        stretch = times[first + 1 : min(first + 1 + length, len(times) - 1)].tolist()
        for again in range(repeats):
            if again:
                walked.append(float(times[first]))
            walked.extend(stretch)
    walked.append(float(times[-1]))
    return torch.tensor(walked, dtype=torch.float64)
