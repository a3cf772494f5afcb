"""A part of a picture, and where in it that lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Window:
    """A rectangle of a picture's pixels.

    Attributes:
        top, left: its first row and column.
        height, width: its sides.
        whole: (H, W) of the picture.
    """

    top: int
    left: int
    height: int
    width: int
    whole: tuple[int, int]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Of the rows and columns."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )

    def cut(self, array: np.ndarray) -> np.ndarray:
        """The part (height, width, ...) of an array (H, W, ...) as large as the picture.

        Raises:
            ValueError: if it is of another size.
        """
        if array.shape[:2] != self.whole:
            raise ValueError(f"an array of {array.shape[:2]} is no picture of {self.whole}")
        return array[self.slices]

    def scaled(self, size: tuple[int, int], whole: tuple[int, int]) -> Window:
        """Where it lies once the whole picture is enlarged to `whole`, and this part to `size`."""
        top = round(self.top * whole[0] / self.whole[0])
        left = round(self.left * whole[1] / self.whole[1])
        return Window(min(top, whole[0] - size[0]), min(left, whole[1] - size[1]), *size, whole)

    def grown(self, side: int, steps: tuple[int, int]) -> Window:
        """A larger one around it, as far as the picture goes.

        Args:
            side: pixels that its sides should have at least.
            steps: (down, across) of which multiples it begins and ends on.
        """

        def reach(start: int, length: int, end: int, step: int) -> tuple[int, int]:
            more = max(side - length, 0)
            first = max(start - more // 2, 0) // step * step
            last = min(-(-max(start + length, first + side) // step) * step, end)
            return first, last - first

        (top, height), (left, width) = (
            reach(*places)
            for places in zip(
                (self.top, self.left), (self.height, self.width), self.whole, steps, strict=True
            )
        )
        return Window(top, left, height, width, self.whole)

    def within(self, outer: Window) -> Window:
        """The same pixels, as a part of another part of the picture, which holds them all."""
        whole = (outer.height, outer.width)
        return Window(self.top - outer.top, self.left - outer.left, self.height, self.width, whole)
