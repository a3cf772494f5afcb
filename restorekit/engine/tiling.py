"""A large picture in parts: tiles of a local denoiser, windows of a global one."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from .denoiser import Denoiser, Prediction, inside
from .regions import Box, regions
from .wrappers import Wrapper, out_of_memory

log = logging.getLogger(__name__)


def _parts(x_t: Tensor, t: Tensor, where: Sequence[tuple[slice, ...]]) -> tuple[Tensor, Tensor]:
    """Pieces of a state as one batch, and their times, where each pixel has its own."""
    if t.ndim == 4:
        t = torch.cat([t[piece].expand(len(x_t), -1, -1, -1) for piece in where])
    return torch.cat([x_t[piece] for piece in where]), t


class Tiled(Wrapper):
    """Evaluates a local denoiser tile by tile: the same numbers, with memory bounded by the tile.

    Where memory runs out all the same, tiles get smaller and the evaluation starts again.

    Args:
        denoiser: one whose output at a pixel depends on pixels at most `halo` away.
        tile: side of the tiles; a multiple of `multiple`.
        halo: how far the denoiser sees, a multiple of `multiple` too.
        needed: (H, W) bool: where x_0 is used. It is 0 where nothing is near that, and what is
            paid for is the rest, with its halo. A variance, where the network learned one, is
            used everywhere: then so is the denoiser.
        tick: called with the share of an evaluation that is done, where there are several tiles.
    """

    SMALLEST = 64

    def __init__(
        self,
        denoiser: Denoiser,
        tile: int,
        halo: int,
        multiple: int,
        needed: Tensor | None = None,
        tick: Callable[[float], None] | None = None,
    ) -> None:
        if tile < 1 or tile % multiple or halo % multiple:
            raise ValueError(f"tile and halo must be multiples of {multiple}")
        super().__init__(denoiser)
        self.tile, self.halo, self.multiple = tile, halo, multiple
        self.tick = tick
        self.regions = None if needed is None else regions(needed, halo, multiple)

    def where(self, needed: Tensor) -> Tiled:
        """The same, where that is needed."""
        return Tiled(self.denoiser, self.tile, self.halo, self.multiple, needed, self.tick)

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
        whole = Box(0, height, 0, width)
        boxes = [whole] if self.regions is None else self.regions
        tiles = [tile for box in boxes for tile in box.tiles(self.tile)]
        if tiles == [whole]:
            return self.denoiser(x_t, t)
        x_0, fraction = torch.zeros_like(x_t), None
        done, total = 0, sum(tile.area for tile in tiles)
        for batch in self._batches(tiles, whole):
            seen = [tile.grown(self.halo, whole) for tile in batch]
            asked = inside(self.denoiser, batch[0].within(seen[0]))
            p = asked(*_parts(x_t, t, [box.slices for box in seen]))
            if p.variance_fraction is not None and self.regions is not None:
                self.regions = None
                return self._evaluate(x_t, t)
            for number, (tile, box) in enumerate(zip(batch, seen, strict=True)):
                rows = slice(number * len(x_t), (number + 1) * len(x_t))
                inner = tile.within(box).slices
                x_0[tile.slices] = p.x_0[rows][inner]
                if p.variance_fraction is not None:
                    fraction = torch.zeros_like(x_t) if fraction is None else fraction
                    fraction[tile.slices] = p.variance_fraction[rows][inner]
            done += sum(tile.area for tile in batch)
            if self.tick:
                self.tick(done / total)
        return Prediction(x_0, fraction)

    def _batches(self, tiles: Iterable[Box], whole: Box) -> Iterator[list[Box]]:
        """Small tiles that are alike go through the network together, as much as one large one."""

        def shape(tile: Box) -> tuple[tuple[int, int], Box]:
            seen = tile.grown(self.halo, whole)
            return seen.shape, tile.within(seen)

        most = (self.tile + 2 * self.halo) ** 2
        for ((height, width), _), alike in groupby(sorted(tiles, key=shape), shape):
            together, number = list(alike), max(most // (height * width), 1)
            for first in range(0, len(together), number):
                yield together[first : first + number]


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
                part = slice(None), slice(None), rows, columns
                p = self.denoiser(*_parts(x_t, t, [part]))
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
