"""What is random in a training step. Everything follows from the step's number."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..engine.schedule import Schedule, over
from .settings import Settings

USES = TIMES, NOISE, COLOURS, SHARES, TOLD, UNFOLDED = range(6)  # of random numbers
NONE = 0.2  # share of the crops with less noise than told that have none
ONE_SIDE = 0.4  # share of them that have it on one side of a line, and all of it on the other
GUESS = 0.5  # noise-to-signal ratio told of a hole with a first guess in it: above what it errs
LEAST_TOLD = 2 / 255  # noise-to-signal ratio told of photographed crops: one step of 8 bits


def seed_of(settings: Settings, step: int, use: int) -> int:
    """Of what a step draws for one use."""
    return (settings.seed * 1_000_003 + step) * len(USES) + use


def times(settings: Settings, schedule: Schedule, step: int) -> Tensor:
    """A time for each crop of a step, (batch,): stratified, so that every batch has them all.

    Grid times where the settings name no noise, else log-uniform noise levels.
    """
    source = torch.Generator().manual_seed(seed_of(settings, step, TIMES))
    offsets = torch.rand(settings.batch, generator=source, dtype=torch.float64)
    u = (torch.arange(settings.batch) + offsets) / settings.batch
    if not settings.noise:
        return (u * schedule.T).floor().add(1).clamp(max=schedule.T) / schedule.T
    lowest, low, high, highest = (math.log(s) for s in settings.noise)
    near = u / settings.focus
    far = (u - settings.focus) / max(1 - settings.focus, 1e-9)
    ratio = torch.where(near < 1, low + near * (high - low), lowest + far * (highest - lowest))
    return schedule.time_for(ratio.exp())


def noise(settings: Settings, like: Tensor, step: int) -> Tensor:
    """eps for the whole batch of a step, drawn on the device; less than told where settings ask."""
    source = torch.Generator(like.device).manual_seed(seed_of(settings, step, NOISE))
    shape = settings.batch, *like.shape[1:]
    eps = torch.randn(shape, generator=source, device=like.device)
    return eps.mul_(shares(settings, step, like.shape[-1]).to(eps))


def shares(settings: Settings, step: int, side: int) -> Tensor:
    """How much of the noise that it is told each pixel has, (batch, 1, side, side).

    All of it; or less, or none; or so on one side of a line, sharp or soft, and all on the other:
    a network that has seen only even noise takes the stronger part for detail.
    """
    source = torch.Generator().manual_seed(seed_of(settings, step, SHARES))
    chosen, none, share, parted, angle, x, y, soft = torch.rand(
        8, settings.batch, 1, 1, 1, generator=source
    )
    share = torch.where(none < NONE, 0.0, share)
    angle, width = 2 * math.pi * angle, side**soft  # of the line, and in pixels across it
    along = torch.arange(side) + 0.5
    distance = (along - side * x) * angle.cos() + (along[:, None] - side * y) * angle.sin()
    full = (distance / width + 0.5).clamp(0, 1)
    share = torch.where(parted < ONE_SIDE, torch.lerp(share, torch.ones(()), full), share)
    return torch.where(chosen < settings.less, share, 1.0).expand(-1, 1, side, side)


def told(settings: Settings, step: int) -> Tensor:
    """How many times its noise each photographed crop is told, (batch,): 0.9 to 1.2, or to 3."""
    source = torch.Generator().manual_seed(seed_of(settings, step, TOLD))
    chosen, u = torch.rand(2, settings.batch, generator=source)
    return torch.where(chosen < 0.5, 0.9 + 0.3 * u, 3**u)


def of_faults(
    schedule: Schedule, t: Tensor, eps: Tensor, faults: Tensor, told: Tensor
) -> tuple[Tensor, Tensor]:
    """Times and noise where crops with faults have these instead: x_t = alpha_t (x_0 + faults).

    Args:
        faults: (B, 3, H, W), 0 for crops that keep their t and eps.
        told: (B,) the level that is told, as a multiple of the faults' root mean square.
    """
    level = faults.square().mean((1, 2, 3)).sqrt().cpu().double()
    chosen = level > 0
    ratio = (told * level).clamp(min=LEAST_TOLD)
    t = torch.where(chosen, schedule.time_for(ratio), t)
    ratio = schedule.noise_to_signal(t)  # the schedule's own, at its ends
    mine = chosen.to(eps.device)[:, None, None, None]
    return t, torch.where(mine, faults / over(ratio, faults), eps)


def of_holes(
    schedule: Schedule, t: Tensor, eps: Tensor, holes: Tensor, faults: Tensor
) -> tuple[Tensor, Tensor]:
    """A time for every pixel, 0 around the holes, and noise where torn crops have a guess.

    Args:
        t, eps: of each crop.
        holes: (B, 1, H, W) bool, everything of a crop that is not torn.
        faults: (B, 3, H, W) what the guess errs by in the holes, 0 where there is none.
    """
    torn = ~holes.flatten(1).all(1)
    guessed = torn & (faults != 0).flatten(1).any(1)
    t = torch.where(guessed.cpu(), schedule.time_for(GUESS), t)
    ratio = over(schedule.noise_to_signal(t), faults)
    eps = torch.where(guessed[:, None, None, None], faults / ratio, eps)
    return torch.where(holes.cpu(), t[:, None, None, None], 0.0), eps
