"""Denoisers around denoisers, which change how one is evaluated and not what it answers."""

from __future__ import annotations

import copy
import functools
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .denoiser import Denoiser, Inside, Prediction, inside
from .noise import Noise
from .regions import Box
from .schedule import Schedule, over

log = logging.getLogger(__name__)


class Wrapper:
    """What all of them share with the denoiser inside.

    Attributes:
        pointwise: whether its answer at a pixel asks for the denoiser's at that pixel alone.
    """

    pointwise = False

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser
        self.schedule: Schedule = denoiser.schedule
        self.mapped: bool = getattr(denoiser, "mapped", False)

    def variance(self, t: Tensor) -> Tensor:
        return self.denoiser.variance(t)

    def inside(self, box: Box) -> Denoiser:
        """See `denoiser.inside`."""
        asked = inside(self.denoiser, box) if self.pointwise else self.denoiser
        other: Any = self if asked is self.denoiser else copy.copy(self)
        other.denoiser = asked
        same: Denoiser = other
        return same


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    return isinstance(error, torch.OutOfMemoryError) or "alloc" in str(error)


@dataclass(eq=False)
class Asked:
    """What a thread asks a denoiser, and where the answer goes."""

    x_t: Tensor
    t: Tensor
    box: Box | None = None
    answer: Future[Prediction] = field(default_factory=Future)

    def fits(self, other: Asked) -> bool:
        """Whether both can be rows of one batch. Gradients are for the thread that asks alone."""
        a, b = self.x_t, other.x_t
        alike = (a.shape[1:], a.dtype, a.device) == (b.shape[1:], b.dtype, b.device)
        alike = alike and (self.t.ndim == 4) == (other.t.ndim == 4) and self.box == other.box
        return alike and not (a.requires_grad or b.requires_grad)


class Shared(Wrapper):
    """One denoiser for several threads: what they ask meanwhile, in one shape, is one batch.

    Nobody waits for a batch to fill. While one is evaluated further questions come together, and
    whoever is next takes those like its own along.

    Args:
        largest: questions in a batch, at most.
    """

    def __init__(self, denoiser: Denoiser, largest: int = 8) -> None:
        super().__init__(denoiser)
        self.largest = largest
        self.waiting: list[Asked] = []
        self.queueing, self.evaluating = threading.Lock(), threading.Lock()

    def inside(self, box: Box) -> Denoiser:
        return Inside(self, box)

    def __call__(self, x_t: Tensor, t: Tensor, box: Box | None = None) -> Prediction:
        mine = Asked(x_t, t, box)
        with self.queueing:
            self.waiting.append(mine)
        with self.evaluating:
            if not mine.answer.done():
                self._answer(mine)
        try:
            return mine.answer.result()
        finally:
            del mine  # an error's traceback would keep it, and it the error

    def _answer(self, first: Asked) -> None:
        with self.queueing:
            others = [a for a in self.waiting if a is not first and a.fits(first)]
            batch = [first, *others[: self.largest - 1]]
            self.waiting = [a for a in self.waiting if a not in batch]
        try:
            for asked, prediction in zip(batch, self._evaluate(batch), strict=True):
                asked.answer.set_result(prediction)
        except Exception as error:
            for asked in batch:  # without the frames, which hold what memory has run out for
                asked.answer.set_exception(error.with_traceback(None))

    def _evaluate(self, batch: list[Asked]) -> list[Prediction]:
        box = batch[0].box
        denoiser = self.denoiser if box is None else inside(self.denoiser, box)
        if len(batch) > 1:
            x_t = torch.cat([a.x_t for a in batch])
            t = torch.cat([_for_each(a.t, len(a.x_t)) for a in batch])
            try:
                p = denoiser(x_t, t[:1] if (t == t[0]).all() else t)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
            else:
                rows = [len(a.x_t) for a in batch]
                fractions: Sequence[Tensor | None] = [None] * len(batch)
                if p.variance_fraction is not None:
                    fractions = p.variance_fraction.split(rows)
                return [
                    Prediction(*pair) for pair in zip(p.x_0.split(rows), fractions, strict=True)
                ]
        return [denoiser(a.x_t, a.t) for a in batch]


def _for_each(t: Tensor, count: int) -> Tensor:
    """Times for each picture of a batch, (B,) or (B, 1, H, W)."""
    return t.expand(count, -1, -1, -1) if t.ndim == 4 else t.reshape(-1).expand(count)


class Topped(Wrapper):
    """Asks a denoiser about no less noise than it is told, for one that must know what there is.

    The picture may have any noise up to what is told, r = sigma_t / alpha_t. Fresh noise of r is
    added, so that there is r at least, and the denoiser is told sqrt(2) r, which there is at most.
    The answers to both signs of it are averaged: what it does to them cancels to first order. Two
    evaluations for each pair, the same noise every time; where the level told was exact, one pair
    costs 0.3 dB.

    Args:
        pairs: of signs that are averaged.
    """

    def __init__(self, denoiser: Denoiser, pairs: int = 1) -> None:
        super().__init__(denoiser)
        self.pairs = pairs

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        schedule, noise = self.schedule, Noise(0, "topped")
        ratio = schedule.noise_to_signal(t)
        above = schedule.time_for(2**0.5 * ratio)
        alpha = over(schedule(above)[0], x_t)
        x = x_t / over(schedule(t)[0], x_t)
        x_0 = torch.zeros_like(x)
        for _ in range(self.pairs):
            eps = over(ratio, x) * noise.like(x)
            for state in (x + eps, x - eps):
                x_0 += self.denoiser(alpha * state, above).x_0
        return Prediction(x_0 / (2 * self.pairs))


def at(denoiser: Denoiser, precision: torch.dtype) -> Denoiser:
    """The same, with its network's layers in another precision; it shares the weights."""
    other: Any = copy.copy(denoiser)
    if isinstance(denoiser, Wrapper):
        other.denoiser = at(denoiser.denoiser, precision)
    other.precision = precision
    again: Denoiser = other
    return again


class Guarded(Wrapper):
    """Evaluates those of a batch again in float32 where reduced precision gave NaN or infinity.

    Args:
        denoiser: one with the attribute `precision` (see `traits.Traits`), its weights float32.
    """

    pointwise = True

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__(denoiser)
        self.reduced: torch.dtype = denoiser.precision  # type: ignore[attr-defined]
        self.exact = at(denoiser, torch.float32)
        message = "%s overflowed; evaluating again in float32"
        self.warn_once = functools.cache(lambda: log.warning(message, self.reduced))

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        p = self.denoiser(x_t, t)
        wrong = ~torch.isfinite(p.x_0).flatten(1).all(1)
        if p.variance_fraction is not None:
            wrong |= ~torch.isfinite(p.variance_fraction).flatten(1).all(1)
        if not wrong.any():
            return p
        self.warn_once()
        again = self.exact(x_t[wrong], _for_each(t, len(x_t)).to(wrong.device)[wrong])
        p.x_0[wrong] = again.x_0
        if p.variance_fraction is not None and again.variance_fraction is not None:
            p.variance_fraction[wrong] = again.variance_fraction
        return p
