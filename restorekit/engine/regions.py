"""Where a picture's answers are needed: few rectangles that cost little to evaluate."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CELL = 16  # pixels a side, at least, that are needed or not as one
MOST = 512  # rectangles to begin with; cells get larger until there are no more


@dataclass(frozen=True, order=True)
class Box:
    """Rows top to bottom and columns left to right of a picture, the last of each left out."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> int:
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, slice, slice, slice]:
        """Of a batch of pictures."""
        every = slice(None)
        return every, every, slice(self.top, self.bottom), slice(self.left, self.right)

    def tiles(self, side: int) -> Iterator[Box]:
        """Squares of a side, less at the far ends, that fill it."""
        for top in range(self.top, self.bottom, side):
            for left in range(self.left, self.right, side):
                bottom, right = min(top + side, self.bottom), min(left + side, self.right)
                yield Box(top, bottom, left, right)

    def grown(self, by: int, whole: Box) -> Box:
        """With a margin, as far as the whole goes."""
        top, left = max(self.top - by, whole.top), max(self.left - by, whole.left)
        bottom, right = min(self.bottom + by, whole.bottom), min(self.right + by, whole.right)
        return Box(top, bottom, left, right)

    def scaled(self, factor: int, divisor: int = 1) -> Box:
        """On a grid so many times as fine, the pixels that hold any of it."""
        top, left = self.top * factor // divisor, self.left * factor // divisor
        return Box(
            top, -(-self.bottom * factor // divisor), left, -(-self.right * factor // divisor)
        )

    def within(self, other: Box) -> Box:
        """Counted from the other's corner."""
        return Box(
            self.top - other.top,
            self.bottom - other.top,
            self.left - other.left,
            self.right - other.left,
        )


def around(needed: Tensor, halo: int, multiple: int) -> Box:
    """What a network that sees `halo` far must see for all pixels needed, in one piece.

    It lies on the network's grid as the whole picture does, in whatever motion that is.
    """
    height, width = needed.shape

    def reach(some: Tensor, length: int) -> tuple[int, int]:
        where = some.nonzero().flatten()
        first, last = (int(where[0]), int(where[-1])) if len(where) else (0, 0)
        after = (length - 1 - last - halo) // multiple * multiple
        return max((first - halo) // multiple * multiple, 0), length - max(after, 0)

    return Box(*reach(needed.any(1), height), *reach(needed.any(0), width))


def regions(needed: Tensor, halo: int, multiple: int) -> list[Box]:
    """Rectangles that hold all pixels needed, on the grid of a network that sees `halo` far.

    Neighbours become one rectangle while evaluating that, with its halo, costs no more than both.

    Args:
        needed: (H, W) bool.
        halo, multiple: as `Tiled` has them.
    """
    height, width = needed.shape
    cell = -(-CELL // multiple) * multiple
    while True:
        cells = _cells(needed, cell)
        boxes = _stacked(cells)
        if len(boxes) <= MOST:
            break
        cell *= 2
    corners = torch.tensor([[b.top, b.bottom, b.left, b.right] for b in boxes]).reshape(-1, 4)
    corners = (corners * cell).clamp(max=torch.tensor([height, height, width, width]))
    if not len(corners):
        return []
    cost = functools.partial(_cost, halo=halo, height=height, width=width)
    merged, one = _merged(corners, cost), functools.reduce(_union, corners)[None]
    best = merged if cost(merged).sum() < cost(one).sum() else one
    return [Box(*corner) for corner in best.tolist()]


def _cells(needed: Tensor, cell: int) -> Tensor:
    """(rows, columns) bool: whether anything in a cell is needed."""
    height, width = needed.shape
    padded = F.pad(needed.float()[None, None], (0, -width % cell, 0, -height % cell))
    return F.max_pool2d(padded, cell)[0, 0] > 0


def _stacked(cells: Tensor) -> list[Box]:
    """Runs of cells in each row; those right below each other, of one extent, as one."""
    done: list[Box] = []
    open_: dict[tuple[int, int], Box] = {}
    for number, row in enumerate(cells):
        edges = F.pad(row.int(), (1, 1)).diff().nonzero().flatten().tolist()
        runs = list(zip(edges[::2], edges[1::2], strict=True))
        done += [box for run, box in open_.items() if run not in runs]
        open_ = {
            run: Box(open_[run].top if run in open_ else number, number + 1, *run) for run in runs
        }
    return done + list(open_.values())


def _cost(boxes: Tensor, halo: int, height: int, width: int) -> Tensor:
    """Of boxes (..., 4), twice the pixels that a network works on, in the mean over its levels.

    The first of them are given a box with its halo, the last but the box (see `pruning`).
    """
    top, bottom, left, right = boxes.unbind(-1)
    down = (bottom + halo).clamp(max=height) - (top - halo).clamp(min=0)
    across = (right + halo).clamp(max=width) - (left - halo).clamp(min=0)
    return down * across + (bottom - top) * (right - left)


OUTER = torch.tensor([-1, 1, -1, 1])  # a union's corners: the least, the largest, ...


def _union(a: Tensor, b: Tensor) -> Tensor:
    return OUTER * torch.maximum(OUTER * a, OUTER * b)


def _merged(boxes: Tensor, cost: Callable[[Tensor], Tensor]) -> Tensor:
    """Joins the two whose union saves most, until none saves anything. Boxes are rows of (N, 4)."""

    def saved_by(a: Tensor, b: Tensor) -> Tensor:
        return cost(a) + cost(b) - cost(_union(a, b))

    saved = saved_by(boxes[:, None], boxes[None]).fill_diagonal_(-1)
    while len(boxes) > 1:
        first, second = divmod(int(saved.argmax()), len(boxes))
        if saved[first, second] < 0:
            break
        one = _union(boxes[first], boxes[second])
        # Whatever lies in the new one is in it, the two it came of first of all.
        apart = ((OUTER * boxes) > (OUTER * one)).any(1)
        boxes = torch.cat([boxes[apart], one[None]])
        saved = F.pad(saved[apart][:, apart], (0, 1, 0, 1))
        saved[-1] = saved[:, -1] = saved_by(boxes, one)
        saved[-1, -1] = -1
    return boxes
