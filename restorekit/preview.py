"""A preview: what a chain makes of a part of a photo, beside that part as it was.

It is a chain itself, so it goes the way of all photos: the same rules about files, the same notes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from .chain import Chain, Chained
from .engine.noise import Noise
from .engine.sampler import Progress
from .errors import RestorekitError
from .result import Result
from .shot import Shot
from .units import eight_bit, peak_of
from .window import Window

GRID = 16  # pixels: windows begin on the blocks of JPEGs and of the priors' coarsest levels
GAP = 8  # pixels between before and after
COARSE = 1024  # pixels of the longer side, on which structure is looked for
CELL = 8  # of those: the side of what is called smooth or not
STRUCTURE = 6.0  # deviation of 255 within a cell, from which on it is not smooth
CLIPPED = (8, 247)  # of 255: what is darker or brighter shows little


@dataclass(frozen=True)
class Preview:
    """A chain on a part of one photo.

    Attributes:
        chain: what is to be previewed.
        side: pixels of the part's sides, as far as the photo has them.
        at: (x, y) of its centre; None: where most can be seen.
    """

    chain: Chain
    side: int
    at: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        return self.chain.name

    @property
    def takes_photo(self) -> bool:
        return self.chain.takes_photo

    extras: ClassVar[tuple[str, ...]] = ()  # which would be of the part

    def reads(self, name: str) -> Sequence[Path]:
        """The files besides the photo that are read."""
        return self.chain.reads(name)

    def on(self, device: str) -> Preview:
        """The same on another device."""
        return dataclasses.replace(self, chain=self.chain.on(device))

    def absolute(self) -> Preview:
        """The same with absolute paths, wherever it may be opened."""
        return dataclasses.replace(self, chain=self.chain.absolute())

    def opened(self) -> Previewed:
        """Its priors loaded."""
        return Previewed(self)


@dataclass(frozen=True)
class Part:
    """A restored part of a photo.

    Attributes:
        window: where it lies.
        before, clear: its pixels and alpha as they were.
        result: what became of it.
    """

    window: Window
    before: np.ndarray
    clear: np.ndarray | None
    result: Result


class Previewed:
    """A preview with its priors loaded."""

    at_once = 1

    def __init__(self, plan: Preview) -> None:
        self.plan = plan
        self.restoring: Chained = plan.chain.opened()

    @property
    def priors(self) -> list[Path]:
        """The weights that it reads."""
        return self.restoring.priors

    @property
    def settings(self) -> Any:
        """All that decides what becomes of a photo."""
        return [self.restoring.settings, self.plan.side, self.plan.at]

    def __call__(
        self,
        shot: Shot,
        *,
        sample_number: int = 0,
        progress: Progress | None = None,
        expected: Callable[[tuple[int, int]], None] | None = None,
    ) -> Result:
        """Restores the part, and puts before and after side by side, a white line between.

        Raises:
            RestorekitError: if the photo has no such place, or the part cannot be restored.
        """

        def both(size: tuple[int, int]) -> None:
            if expected is not None:
                expected((size[0], 2 * size[1] + GAP))

        window = self.window(shot)
        where = f"{window.left + window.width // 2},{window.top + window.height // 2}"
        size = f"{window.width} x {window.height} pixels around {where}"
        try:
            part = self.part(
                shot, window, sample_number=sample_number, progress=progress, expected=both
            )
        except RestorekitError as error:
            where = f"in the part of {size}"
            raise RestorekitError(f"{error} ({where}; choose another by --at X,Y)") from error
        note = f"{size}, before and after"
        if len(self.plan.chain.links) > 1:
            note += "; what later tasks find, as noise, they find in this part alone"
        result = part.result
        return dataclasses.replace(
            result,
            pixels=beside(part.before, result.pixels),
            alpha=None if part.clear is None else opaque_beside(part.clear, result),
            notes=(note, *result.notes),
            extras={},
        )

    def window(self, shot: Shot) -> Window:
        """Which part it is. Raises RestorekitError if the photo has no such place."""
        if not self.plan.takes_photo:
            raise RestorekitError("there is no photo to preview; leave --preview out")
        pixels = shot.pixels
        size = (pixels.shape[0], pixels.shape[1])
        side, at = self.plan.side, self.plan.at
        if at is not None:
            return around(at, side, size)
        marked = self.marked(shot)
        return telling(structure(pixels) if marked is None else marked, side, size)

    def part(
        self,
        shot: Shot,
        window: Window,
        *,
        sample_number: int = 0,
        progress: Progress | None = None,
        expected: Callable[[tuple[int, int]], None] | None = None,
    ) -> Part:
        """Restores a part alone. Raises RestorekitError if it cannot be restored."""
        before = shot.part(window)
        result = self.restoring(
            before, sample_number=sample_number, progress=progress, expected=expected
        )
        return Part(window, before.pixels, before.alpha, result)

    def marked(self, shot: Shot) -> np.ndarray | None:
        """(H, W) bool, where a task of the chain changes the photo, if one says so."""
        picture = shot.picture(Noise(0))
        for restorer, options in self.restoring.steps:
            with suppress(RestorekitError):  # which its part will be told
                marked = restorer.task.marked(picture, **options)
                if marked is not None and marked.shape == shot.pixels.shape[:2]:
                    return marked
        return None


def beside(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(H, W, C) of what was, enlarged to what is now, a white line, and that."""
    height, width = after.shape[:2]
    if before.shape[:2] != (height, width):
        before = cv2.resize(before, (width, height), interpolation=cv2.INTER_CUBIC)
    before = before.reshape(height, width, -1)
    channels = max(before.shape[2], after.shape[2])
    line = np.full((height, GAP, channels), peak_of(after.dtype), after.dtype)
    pictures = [np.broadcast_to(p, (height, width, channels)) for p in (before, after)]
    return np.concatenate([pictures[0], line, pictures[1]], axis=1)


def opaque_beside(before: np.ndarray, after: Result) -> np.ndarray:
    """(H, W) the same of the transparency."""
    assert after.alpha is not None
    return beside(before[..., None], after.alpha[..., None])[..., 0]


def around(centre: tuple[int, int], side: int, whole: tuple[int, int]) -> Window:
    """The window about (x, y), as far as the photo goes, which begins on the GRID.

    Raises:
        RestorekitError: if that is not in the photo.
    """
    x, y = centre
    if not (0 <= x < whole[1] and 0 <= y < whole[0]):
        raise RestorekitError(
            f"--at {x},{y} lies outside the photo, which is {whole[1]} x {whole[0]}; "
            "count from the top left, across and then down"
        )

    top, left = (
        min(starts(side, length), key=lambda start: abs(start + side / 2 - middle))
        for middle, length in ((y, whole[0]), (x, whole[1]))
    )
    return of_side(side, top, left, whole)


def starts(side: int, length: int) -> range:
    """Where windows may begin along a side of the photo; the last reaches its end."""
    return range(0, max(length - side, 0) + GRID, GRID) if length > side else range(1)


def of_side(side: int, top: int, left: int, whole: tuple[int, int]) -> Window:
    """The window that begins there, as far as the photo goes."""
    return Window(top, left, min(side, whole[0] - top), min(side, whole[1] - left), whole)


def telling(marked: np.ndarray, side: int, whole: tuple[int, int]) -> Window:
    """The window with as much within what is marked as without; of equals the middlemost.

    Args:
        marked: (h, w) of the photo, or of one that was reduced: how much of each pixel is marked,
            from 0 to 1; NaN where nothing can be seen.
    """
    size = reduced_size(marked.shape)
    seen = cv2.resize(np.isfinite(marked).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    plain = np.nan_to_num(marked.astype(np.float32))
    values = cv2.resize(plain, size, interpolation=cv2.INTER_AREA)
    tops, lefts = (np.array(starts(side, length)) for length in whole)

    def within(values: np.ndarray) -> np.ndarray:
        """The sums over all windows, by their beginnings."""
        sums = cv2.integral(values)
        (first, last), (begin, end) = (
            (
                np.rint(at * of / length).astype(int),
                np.rint(np.minimum(at + side, length) * of / length).astype(int),
            )
            for at, of, length in zip((tops, lefts), values.shape, whole, strict=True)
        )
        total = sums[np.ix_(last, end)] - sums[np.ix_(first, end)]
        return np.asarray(total - sums[np.ix_(last, begin)] + sums[np.ix_(first, begin)])

    most = max(within(np.ones_like(values)).max(), 1.0)
    share, visible = within(values) / most, within(seen) / most
    off = np.hypot((tops[:, None] + side / 2) / whole[0] - 0.5, (lefts + side / 2) / whole[1] - 0.5)
    score = share * (visible - share) - 1e-4 * off  # most where each has half
    top, left = np.unravel_index(score.argmax(), score.shape)
    return of_side(side, int(tops[top]), int(lefts[left]), whole)


def structure(pixels: np.ndarray) -> np.ndarray:
    """(h, w) of a reduced photo: 1 where it has structure, 0 where it is smooth, NaN where it is
    black or white."""
    size = reduced_size(pixels.shape)
    small = cv2.resize(eight_bit(pixels), size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small = small.reshape(size[1], size[0], -1).mean(2)
    mean = cv2.blur(small, (CELL, CELL))
    deviation = np.sqrt(np.maximum(cv2.blur(small * small, (CELL, CELL)) - mean * mean, 0))
    found = (deviation > max(STRUCTURE, float(np.median(deviation)))).astype(np.float32)
    return np.where((mean < CLIPPED[0]) | (mean > CLIPPED[1]), np.nan, found)


def reduced_size(shape: Sequence[int]) -> tuple[int, int]:
    """(width, height) of a picture (H, W, ...) with a longer side of COARSE pixels at most."""
    scale = min(1.0, COARSE / max(shape[:2]))
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))
