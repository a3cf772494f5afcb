"""A photo in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import EllipsisType

import numpy as np

from ..provenance import EMPTY, with_history
from ..units import converted, peak_of
from .source import Source

DTYPES = (np.uint8, np.uint16, np.float32)


@dataclass(frozen=True, eq=False)
class Photo:
    """An upright picture and what else its file carried.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 1) grey, uint8, uint16 or float32 on [0, 1], in the
            file's own colour space.
        alpha: (H, W) of the same dtype, not premultiplied; None if the file had none.
        metadata: pairs of `exif`, `icc_profile`, `xmp` or, for words, `text:Title` and its bytes. A
            profile that does not fit the number of channels is dropped.
        dpi: dots an inch, across and down, if the file said so.
        quality: of the JPEG it came from, 1 to 100.
        notes: what was changed or left out in reading, for the user.
        source: the file that it was read from.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    metadata: tuple[tuple[str, bytes], ...] = ()
    dpi: tuple[float, float] | None = None
    quality: int | None = None
    notes: tuple[str, ...] = ()
    source: Source | None = None

    def __post_init__(self) -> None:
        (*size, channels), dtype = self.pixels.shape, self.pixels.dtype
        if len(size) != 2 or channels not in (1, 3) or dtype not in DTYPES:
            raise ValueError(f"not (H, W, 1 or 3) of a known type: {size}, {channels}, {dtype}")
        if self.alpha is not None and (self.alpha.shape, self.alpha.dtype) != (tuple(size), dtype):
            raise ValueError(f"alpha is {self.alpha.shape} {self.alpha.dtype}, not {size} {dtype}")
        space = b"GRAY" if self.is_grey else b"RGB "  # bytes 16 to 20 of a profile
        fitting = ((k, v) for k, v in self.metadata if k != "icc_profile" or v[16:20] == space)
        object.__setattr__(self, "metadata", tuple(fitting))

    @property
    def is_grey(self) -> bool:
        return bool(self.pixels.shape[2] == 1)

    @property
    def peak(self) -> int:
        """The sample value of white: 255, 65535, or 1 for floats."""
        return peak_of(self.pixels.dtype)

    def with_pixels(
        self, pixels: np.ndarray, alpha: np.ndarray | EllipsisType | None = ...
    ) -> Photo:
        """The same photo with other pixels, and the same alpha unless another (or None) is given.

        Raises:
            ValueError: if pixels and alpha differ in size or dtype.
        """
        return replace(self, pixels=pixels, alpha=self.alpha if alpha is ... else alpha)

    def at_depth(self, dtype: np.dtype | type) -> Photo:
        """The same photo with samples of another type."""
        alpha = None if self.alpha is None else converted(self.alpha, dtype)
        return self.with_pixels(converted(self.pixels, dtype), alpha)

    def stripped(self) -> Photo:
        """Without EXIF, XMP and DPI; the profile stays, since the colours mean nothing without."""
        kept = tuple((k, v) for k, v in self.metadata if k == "icc_profile")
        return replace(self, metadata=kept, dpi=None)

    def stamped(self, origin: str, made: str) -> Photo:
        """With XMP that says what made its pixels; where that is damaged, with a note instead.

        Args:
            origin, made: see `provenance.with_history`.
        """
        kept = dict(self.metadata)
        try:
            kept["xmp"] = with_history(kept.get("xmp") or EMPTY, origin, made)
        except ValueError as error:
            note = f"its XMP {error}, and does not say what was done"
            return replace(self, notes=(*self.notes, note))
        return replace(self, metadata=tuple(kept.items()))

    def rgb8(self) -> np.ndarray:
        """(H, W, 3) uint8, without the alpha."""
        return np.repeat(converted(self.pixels, np.uint8), 3 if self.is_grey else 1, axis=2)
