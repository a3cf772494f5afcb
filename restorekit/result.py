"""What became of a photo: its pixels, and what they took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .provenance import ENHANCED

if TYPE_CHECKING:
    import numpy as np

    from .images import Photo


@dataclass
class Result:
    """A restored photo as an array, and what it took.

    Attributes:
        pixels: (H, W, C), of the input's type; C may be 3 where the input's is 1.
        alpha: (H, W), or None.
        nfe: network evaluations.
        seconds: for observing, sampling and finishing, without decoding or loading weights.
        notes: what the user should know.
        origin: what the pixels are now, in IPTC's terms; see `provenance`.
        made: what was done to them, in words; nothing, where nothing was.
        extras: see `Problem`.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    nfe: int
    seconds: float
    notes: tuple[str, ...] = field(default=())
    origin: str = ENHANCED
    made: str = ""
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)

    def of(self, photo: Photo, stamp: bool = True) -> Photo:
        """A photo, restored so, whose XMP says what made it, unless nothing was changed.

        Args:
            photo: what was restored; or this very picture, where it came from nothing.
            stamp: whether its XMP is to say so.
        """
        drawn = photo.pixels is self.pixels and self.made
        restored = photo.with_pixels(self.pixels, alpha=self.alpha)
        if not stamp or not (drawn or not _equal(photo.pixels, self.pixels)):
            return restored
        return restored.stamped(self.origin, self.made)

    def leaves(self, photo: Photo) -> bool:
        """Whether a photo is what it was, to the bit."""
        return _equal(photo.pixels, self.pixels) and _equal(photo.alpha, self.alpha)


def _equal(before: np.ndarray | None, after: np.ndarray | None) -> bool:
    if before is None or after is None or before is after:
        return before is after
    same = before.dtype == after.dtype and before.shape == after.shape
    return same and bool((before == after).all())
