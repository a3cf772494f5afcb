"""Crops amid a restoration by the network itself: unfolded training.

As USRNet (Zhang et al. 2020) and DPIR train it: a crop is degraded by an operator of the engine and
restored by a real method with the sampler `hqs`, and the network learns what is still wrong before
each of its steps. The operator enters through its prox alone, so that one set of weights serves all
of them. Each step is trained by itself: what it starts from was made by the weights as they are,
without a gradient to them. So every answer stays E[x_0 | state], a step may be the last one, and
training takes the memory of one evaluation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from .. import camera
from ..engine.blur import Blur
from ..engine.conditioning import Degradation, Method, Observation, diffpir, mapped
from ..engine.denoiser import NetworkDenoiser
from ..engine.noise import Noise
from ..engine.operators import LinearOperator, Mask, Resample
from ..engine.sampler import Previous, hqs
from . import draws
from .settings import Settings

FACTORS = 1.2, 8.0  # of reduction
NOISY = 0.3  # share of the steps whose reduced crops have noise
MOST_NOISE = 2 * 25 / 255  # its largest deviation, on [-1, 1]
BLURRED = 0.25  # share of the steps whose crops are blurred, not reduced
GAUSSIAN = 0.3  # share of the blurs that are Gaussian, upright ones; the others are a hand's
WIDTHS = 0.5, 3.0  # deviations of a Gaussian blur, pixels
LONGEST = 31  # pixels a side of a kernel
BLURRED_NOISE = 2 / 255, 2 * 10 / 255  # its deviation where a crop is blurred, on [-1, 1]

Draws = Callable[[], float]  # the next number on [0, 1)


@torch.no_grad()
def unfolded(
    denoiser: NetworkDenoiser,
    x_0: Tensor,
    t: Tensor,
    eps: Tensor,
    settings: Settings,
    step: int,
    *,
    faults: Tensor | None = None,
    holes: Tensor | None = None,
    mine: slice = slice(None),
) -> tuple[Tensor, Tensor]:
    """Times and noise where some crops are restored up to one of the steps; others keep theirs.

    Those are all torn crops with a first guess, and of those without any fault the share
    `settings.unfold`, which are reduced by one factor or blurred by one kernel. How far they have
    come differs from step to step.

    Args:
        x_0: (B, 3, H, W) on [-1, 1].
        t, eps: see `draws.of_faults` and `draws.of_holes`.
        faults, holes: see `Batch`, on the device of x_0.
        mine: which of the whole batch's crops these are.

    Returns:
        t, and eps such that x_t = alpha_t x_0 + sigma_t eps is what the network is asked about.
    """
    source = torch.Generator().manual_seed(draws.seed_of(settings, step, draws.UNFOLDED))
    chosen = torch.rand(settings.batch, generator=source)[mine] < settings.unfold
    stages = torch.rand(2, generator=source).tolist()
    noise = Noise(settings.seed, f"unfolded {step}")
    schedule = denoiser.schedule
    times = schedule.time_for(torch.tensor(settings.unfold_levels, dtype=torch.float64))
    t, eps = t.clone(), eps.clone()

    def advance(
        some: Tensor, guess: Tensor, stage: float, method: Method, seen: Observation
    ) -> None:
        done = int(stage * len(times))
        posterior, previous = method(denoiser, seen), None
        x = float(schedule(times[0])[0]) * guess
        for now, then in itertools.pairwise(times[: done + 1]):
            x, prediction = hqs(posterior, x, now, then, noise, previous)
            previous = Previous(now, prediction)
        state = x / float(schedule(times[done])[0])  # which goes ahead of the last prediction
        eps[some] = (state - x_0[some]) / float(schedule.noise_to_signal(times[done]))
        some = some.to(t.device)
        t[some] = torch.where(t[some] > 0, times[done], t[some])  # what is known stays so

    faulty = torch.zeros(len(x_0), dtype=torch.bool, device=x_0.device)
    torn = faulty
    if faults is not None:
        faulty = (faults != 0).flatten(1).any(1)
    if holes is not None:
        torn = ~holes.flatten(1).all(1)
    free = chosen.to(x_0.device) & ~faulty & ~torn

    def draw() -> float:
        return float(torch.rand((), generator=source))

    if free.any():
        clean, start = x_0[free], settings.unfold_levels[0]
        degrade = blurred if draw() < BLURRED else reduced
        # Of the step's number alone, so that every process has the same.
        operator, sigma, guessed = degrade(x_0.shape[-1], start, draw, noise.branch("kernel"))
        operator = operator.to(x_0.device)
        y = operator(clean).add(1).mul(127.5).round().clamp(0, 255).div(127.5).sub(1)  # 8 bits
        eps_y = noise.normal((settings.batch, *y.shape[1:]))[mine]  # whichever process has them
        y = y + sigma * eps_y.to(y)[free]
        seen = Observation(y, Degradation(operator, sigma))
        advance(free, guessed(y), stages[0], diffpir, seen)
    torn = torn & faulty
    if faults is not None and holes is not None and torn.any():
        known = (~holes[torn]).float()
        seen = Observation(x_0[torn] * known, Degradation(Mask(known)))
        advance(torn, x_0[torn] + faults[torn], stages[1], mapped, seen)
    return t, eps


def reduced(
    side: int, start: float, draw: Draws, noise: Noise
) -> tuple[LinearOperator, float, Callable[[Tensor], Tensor]]:
    """By any factor: the operator, the noise of what it gives, and the enlargement of that."""
    low, high = (math.log(f) for f in FACTORS)
    small = round(side / math.exp(low + draw() * (high - low)))
    sigma = draw() * MOST_NOISE if draw() < NOISY else 0.0
    enlarge = Resample((small, small), (side, side))
    return Resample((side, side), (small, small)), sigma, enlarge


def blurred(
    side: int, start: float, draw: Draws, noise: Noise
) -> tuple[LinearOperator, float, Callable[[Tensor], Tensor]]:
    """By a hand or a lens: the operator, the noise of what it gives, and Wiener's filter of that.

    Args:
        start: deviation that the filter assumes of what y lacks.
    """
    from kornia.filters import get_gaussian_kernel2d

    widest = min(LONGEST, (side - 1) // 2 * 2 + 1)
    if draw() < GAUSSIAN:
        low, high = WIDTHS
        widths = low + draw() * (high - low), low + draw() * (high - low)
        kernel = get_gaussian_kernel2d(widest, widths, dtype=torch.float64)[0]
    else:
        kernel = camera.shake(5 + 2 * round(draw() * (widest - 5) / 2), noise.normal)
    least, most = BLURRED_NOISE
    sigma = least + draw() * (most - least)
    operator = Blur((side, side), kernel)
    return operator, sigma, lambda y: operator.prox(y, y, (sigma / start) ** 2)
