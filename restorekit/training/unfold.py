"""Crops amid a restoration by the network itself: unfolded training.

As USRNet (Zhang et al. 2020) and DPIR train it: a crop is degraded by an operator of the engine and
restored by a real method with the sampler `hqs`, and the network learns what is still wrong before
each of its steps. The operator enters through its prox alone, so that one set of weights serves all
of them. Each step is trained by itself: what it starts from was made by the weights as they are,
without a gradient to them. So every answer stays E[x_0 | state], a step may be the last one, and
training takes the memory of one evaluation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..engine.conditioning import Degradation, Method, Observation, diffpir, mapped
from ..engine.denoiser import NetworkDenoiser
from ..engine.noise import Noise
from ..engine.operators import Mask, Resample
from ..engine.sampler import STEPS, sample
from . import draws
from .settings import Settings

FACTORS = 1.2, 8.0  # of reduction
NOISY = 0.3  # share of the steps whose reduced crops have noise
MOST_NOISE = 2 * 25 / 255  # its largest deviation, on [-1, 1]


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
    `settings.unfold`, which are reduced by one factor. How far they have come differs from step to
    step.

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
    stages, (factor, noisy, level) = (torch.rand(n, generator=source).tolist() for n in (2, 3))
    noise = Noise(settings.seed, f"unfolded {step}")
    schedule = denoiser.schedule
    times = schedule.time_for(torch.tensor(settings.unfold_levels, dtype=torch.float64))
    t, eps = t.clone(), eps.clone()

    def advance(
        some: Tensor, guess: Tensor, stage: float, method: Method, seen: Observation
    ) -> None:
        done = int(stage * len(times))
        state = guess
        if done:
            first = float(schedule(times[0])[0])
            state = sample(
                method(denoiser, seen),
                first * guess,
                times[: done + 1],
                step=STEPS["hqs"],
                noise=noise,
            )
        eps[some] = (state - x_0[some]) / float(schedule.noise_to_signal(times[done]))
        some = some.to(t.device)
        t[some] = torch.where(t[some] > 0, times[done], t[some])  # what is known stays so

    faulty = torch.zeros(len(x_0), dtype=torch.bool, device=x_0.device)
    torn = faulty
    if faults is not None:
        faulty = (faults != 0).flatten(1).any(1)
    if holes is not None:
        torn = ~holes.flatten(1).all(1)
    reduced = chosen.to(x_0.device) & ~faulty & ~torn
    if reduced.any():
        clean, side = x_0[reduced], x_0.shape[-1]
        low, high = (math.log(f) for f in FACTORS)
        small = round(side / math.exp(low + factor * (high - low)))
        operator = Resample((side, side), (small, small))
        y = operator(clean).add(1).mul(127.5).round().clamp(0, 255).div(127.5).sub(1)  # 8 bits
        sigma = level * MOST_NOISE if noisy < NOISY else 0.0
        eps_y = noise.normal((settings.batch, *y.shape[1:]))[mine]  # whichever process has them
        y = y + sigma * eps_y.to(y)[reduced]
        guess = Resample((small, small), (side, side))(y)
        advance(reduced, guess, stages[0], diffpir, Observation(y, Degradation(operator, sigma)))
    torn = torn & faulty
    if faults is not None and holes is not None and torn.any():
        known = (~holes[torn]).float()
        seen = Observation(x_0[torn] * known, Degradation(Mask(known)))
        advance(torn, x_0[torn] + faults[torn], stages[1], mapped, seen)
    return t, eps
