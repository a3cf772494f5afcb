"""Where a photo came from, and how it was coded there: what pixels alone do not tell."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import files
from ..errors import RestorekitError
from ..window import Window
from .kinds import JPEGS, error_of, reason
from .quantisation import loss_of

BLOCK = 8  # samples a side


@dataclass(frozen=True, eq=False)
class Component:
    """One of a JPEG's components, as it is stored.

    Attributes:
        k: (rows, columns, 8, 8) int16, the quantised coefficients of its blocks.
        q: (8, 8) int, the quantisation table.
        shrink: (down, across) how many pixels of the photo one of its samples stands for.
    """

    k: np.ndarray
    q: np.ndarray
    shrink: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Coding:
    """A JPEG's content, before it is decoded.

    Attributes:
        size: (H, W) as stored, before EXIF's orientation.
        components: Y; or Y, Cb and Cr.
    """

    size: tuple[int, int]
    components: tuple[Component, ...]

    @functools.cached_property
    def error(self) -> float:
        """The expected root mean square of what quantisation took away, on [0, 1]."""
        return loss_of(self.components)

    @property
    def subsampling(self) -> str:
        """4:2:0 and the like; "grey" for luma alone."""
        if len(self.components) == 1:
            return "grey"
        names = {(1, 1): "4:4:4", (1, 2): "4:2:2", (2, 1): "4:4:0", (2, 2): "4:2:0"}
        return names.get(self.components[1].shrink, "subsampled")

    @property
    def mcu(self) -> tuple[int, int]:
        """(H, W) of the smallest part that has whole blocks of every component."""
        down, across = (max(c.shrink[axis] for c in self.components) for axis in (0, 1))
        return BLOCK * down, BLOCK * across

    def part(self, window: Window) -> Coding:
        """That of a window, as if it was a photo of its own.

        Args:
            window: in the raster that is stored; it begins and ends between MCUs, or with the
                photo. `Window.grown` makes such of any.
        """

        def cut(component: Component) -> Component:
            rows, columns = (
                slice(start // (BLOCK * shrink), -(-(start + length) // (BLOCK * shrink)))
                for start, length, shrink in zip(
                    (window.top, window.left),
                    (window.height, window.width),
                    component.shrink,
                    strict=True,
                )
            )
            return Component(component.k[rows, columns], component.q, component.shrink)

        size = window.height, window.width
        return Coding(size, tuple(cut(component) for component in self.components))


@dataclass(frozen=True)
class Source:
    """The file that a photo was read from.

    Attributes:
        path: its path.
        kind: its format: "JPEG", "PNG", ...; empty where that does not matter.
        orientation: EXIF's, 1 to 8, by which the photo was turned after decoding.
    """

    path: Path = Path()
    kind: str = ""
    orientation: int = 1

    def stored(self, window: Window) -> Window:
        """Where a window of the upright photo lies in the raster that is stored."""
        (height, width), top, left = window.whole, window.top, window.left
        if self.orientation in (2, 3, 6, 7):
            left = width - left - window.width
        if self.orientation in (3, 4, 7, 8):
            top = height - top - window.height
        if self.orientation >= 5:
            return Window(left, top, window.width, window.height, (width, height))
        return Window(top, left, window.height, window.width, window.whole)

    @property
    def is_jpeg(self) -> bool:
        """Whether it has the coefficients of a JPEG."""
        return self.kind in JPEGS

    def readable_coding(self) -> Coding | None:
        """The same as `coding`; None also for a JPEG whose coefficients are not to be had."""
        with contextlib.suppress(RestorekitError):
            return self.coding()
        return None

    def coding(self) -> Coding | None:
        """How a JPEG is coded; None for any other format.

        Read from the file now, since only few tasks ask.

        Raises:
            RestorekitError: if the file cannot be read, or is a JPEG in other colours than grey
                or YCbCr.
        """
        if not self.is_jpeg:
            return None
        import jpeglib

        try:
            with files.opened(self.path):  # that it still is a file
                pass
            stored = jpeglib.read_dct(str(self.path))
            planes = [stored.Y, stored.Cb, stored.Cr] if stored.has_chrominance else [stored.Y]
            space = stored.jpeg_color_space.name
            if space not in ("JCS_YCbCr", "JCS_GRAYSCALE"):
                raise ValueError(f"its colours are {space}")
            factors = np.atleast_2d(stored.samp_factor)[: len(planes)]
            largest = factors.max(axis=0)  # a grey file's own, whatever that is
            parts = []
            for plane, factor, table in zip(planes, factors, stored.quant_tbl_no, strict=False):
                if (largest % factor).any():
                    raise ValueError("its chroma is reduced by no whole number")
                if not stored.qt[table].all():
                    raise ValueError("its tables have steps of 0")
                shrink = largest // factor
                parts.append(Component(plane, stored.qt[table], (int(shrink[0]), int(shrink[1]))))
            return Coding((stored.height, stored.width), tuple(parts))
        except Exception as error:  # a library's, of many kinds
            what = f"its coefficients cannot be read ({reason(error)}); save it as a plain JPEG"
            raise error_of(self.path, what) from error
