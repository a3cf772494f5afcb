"""Denoisers around denoisers, which change how one is evaluated and not what it answers."""

from __future__ import annotations

import copy
import logging
import math
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .denoiser import Denoiser, NetworkDenoiser, Prediction
from .noise import Noise
from .schedule import Schedule, over

log = logging.getLogger(__name__)


class Wrapper:
    """What all of them share with the denoiser inside."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser
        self.schedule: Schedule = denoiser.schedule

    def variance(self, t: Tensor) -> Tensor:
        return self.denoiser.variance(t)


class Tiled(Wrapper):
    """Evaluates a local denoiser tile by tile: the same numbers, with memory bounded by the tile.

    Where memory runs out all the same, tiles get smaller and the evaluation starts again.

    Args:
        denoiser: one whose output at a pixel depends on pixels at most `halo` away.
        tile: side of the tiles; a multiple of `multiple`.
        halo: how far the denoiser sees, a multiple of `multiple` too.
    """

    SMALLEST = 64

    def __init__(self, denoiser: Denoiser, tile: int, halo: int, multiple: int) -> None:
        if tile < 1 or tile % multiple or halo % multiple:
            raise ValueError(f"tile and halo must be multiples of {multiple}")
        super().__init__(denoiser)
        self.tile, self.halo, self.multiple = tile, halo, multiple

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        while True:
            try:
                return self._evaluate(x_t, t)
            except RuntimeError as error:  # the CPU's allocator has no exception of its own
                smaller = self.tile // 2 // self.multiple * self.multiple
                if not out_of_memory(error) or smaller < self.SMALLEST:
                    raise
                log.warning("memory ran out; going on with tiles of %d pixels", smaller)
                self.tile = smaller

    def _evaluate(self, x_t: Tensor, t: Tensor) -> Prediction:
        height, width = x_t.shape[-2:]
        if max(height, width) <= self.tile:
            return self.denoiser(x_t, t)
        x_0, fraction = torch.empty_like(x_t), None
        for top in range(0, height, self.tile):
            for left in range(0, width, self.tile):
                rows, inner_rows = self._reach(top, height)
                columns, inner_columns = self._reach(left, width)
                p = self.denoiser(x_t[..., rows, columns], t)
                target = (..., slice(top, top + self.tile), slice(left, left + self.tile))
                x_0[target] = p.x_0[..., inner_rows, inner_columns]
                if p.variance_fraction is not None:
                    fraction = torch.empty_like(x_t) if fraction is None else fraction
                    fraction[target] = p.variance_fraction[..., inner_rows, inner_columns]
        return Prediction(x_0, fraction)

    def _reach(self, first: int, length: int) -> tuple[slice, slice]:
        """The tile grown by the halo within the picture, and the tile's place in that."""
        low, high = max(0, first - self.halo), min(length, first + self.tile + self.halo)
        end = min(length, first + self.tile)
        return slice(low, high), slice(first - low, end - low)


class Windowed(Wrapper):
    """Evaluates a global denoiser in overlapping windows of a size it knows, blended.

    Every evaluation is blended, not the sampled pictures, so that the windows agree with each
    other as sampling goes on (MultiDiffusion, Bar-Tal et al. 2023, eq. 5). Unlike `Tiled` this
    changes the numbers: what is far apart no longer knows of each other.

    Args:
        window: side of the windows, pixels.
        overlap: of neighbours, at least; their weights ramp over it.
    """

    def __init__(self, denoiser: Denoiser, window: int, overlap: int) -> None:
        if not 0 <= overlap < window:
            raise ValueError("windows must overlap by less than their side")
        super().__init__(denoiser)
        self.window, self.overlap = window, overlap

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        height, width = x_t.shape[-2:]
        x_0, total = torch.zeros_like(x_t), x_t.new_zeros(height, width)
        fraction: Tensor | None = None
        for rows in self._windows(height):
            for columns in self._windows(width):
                p = self.denoiser(x_t[..., rows, columns], t)
                down, across = (self._ramp(s.stop - s.start) for s in (rows, columns))
                weight = torch.outer(down, across).to(x_t)
                x_0[..., rows, columns] += weight * p.x_0
                total[rows, columns] += weight
                if p.variance_fraction is not None:
                    fraction = torch.zeros_like(x_t) if fraction is None else fraction
                    fraction[..., rows, columns] += weight * p.variance_fraction
        return Prediction(x_0 / total, None if fraction is None else fraction / total)

    def _windows(self, length: int) -> list[slice]:
        """Evenly spread over a side."""
        if length <= self.window:
            return [slice(0, length)]
        count = math.ceil((length - self.overlap) / (self.window - self.overlap))
        starts = torch.linspace(0, length - self.window, count).round().int().tolist()
        return [slice(start, start + self.window) for start in starts]

    def _ramp(self, length: int) -> Tensor:
        """A window's weights along a side: rising and falling over the overlap, never 0."""
        edge = torch.arange(1, length + 1)
        return torch.minimum(edge, edge.flip(0)).clamp(max=self.overlap + 1).float()


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    return isinstance(error, torch.OutOfMemoryError) or "alloc" in str(error)


@dataclass(eq=False)
class Asked:
    """What a thread asks a denoiser, and where the answer goes."""

    x_t: Tensor
    t: Tensor
    answer: Future[Prediction] = field(default_factory=Future)

    def fits(self, other: Asked) -> bool:
        """Whether both can be rows of one batch. Gradients are for the thread that asks alone."""
        a, b = self.x_t, other.x_t
        alike = (a.shape[1:], a.dtype, a.device) == (b.shape[1:], b.dtype, b.device)
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

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        mine = Asked(x_t, t)
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
        if len(batch) > 1:
            x_t = torch.cat([a.x_t for a in batch])
            t = torch.cat([a.t.reshape(-1).expand(len(a.x_t)) for a in batch])
            try:
                p = self.denoiser(x_t, t[:1] if (t == t[0]).all() else t)
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
        return [self.denoiser(a.x_t, a.t) for a in batch]


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


class Guarded(Wrapper):
    """Evaluates those of a batch again in float32 where reduced precision gave NaN or infinity."""

    def __init__(self, denoiser: NetworkDenoiser) -> None:
        super().__init__(denoiser)
        self.reduced = denoiser.precision
        self.exact = copy.copy(denoiser)  # shares the weights, which are float32
        self.exact.precision = torch.float32
        self.warned = False

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        p = self.denoiser(x_t, t)
        wrong = ~torch.isfinite(p.x_0).flatten(1).all(1)
        if p.variance_fraction is not None:
            wrong |= ~torch.isfinite(p.variance_fraction).flatten(1).all(1)
        if not wrong.any():
            return p
        if not self.warned:
            log.warning("%s overflowed; evaluating again in float32", self.reduced)
            self.warned = True
        again = self.exact(x_t[wrong], t.reshape(-1).expand(len(x_t)).to(wrong.device)[wrong])
        p.x_0[wrong] = again.x_0
        if p.variance_fraction is not None and again.variance_fraction is not None:
            p.variance_fraction[wrong] = again.variance_fraction
        return p
