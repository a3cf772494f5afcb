"""A photo as it is handed to whatever restores it: arrays, and what is known of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .alpha import without_hidden
from .errors import RestorekitError
from .task import Picture, no_prior
from .units import converted, to_engine

if TYPE_CHECKING:
    from torch import Tensor

    from .engine.noise import Noise
    from .images import Photo, Source
    from .window import Window

LARGEST = 1e4  # of floating-point pixels, whose white is 1


@dataclass(frozen=True)
class Shot:
    """A photo, or a part of one.

    Attributes:
        pixels: (H, W, 3) or (H, W, 1); uint8, uint16, or float on [0, 1] (which it may exceed, as
            noisy pixels do). (0, 0, 3) for a task that takes no photo.
        alpha: (H, W) of the same type.
        name: the photo's. With the seed it decides the noise in perceptual mode, by its last part
            alone, so that it makes no difference which folder the run was given.
        source: the file that the photo was read from.
        window: where in the photo the pixels lie, if they are a part of it.
        whole: all of its pixels then, as they would be given, if they are known.

    Raises:
        RestorekitError: for floats that are not finite, or far from [0, 1].
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    name: str = ""
    source: Source | None = None
    window: Window | None = None
    whole: np.ndarray | None = None

    def __post_init__(self) -> None:
        for samples in (self.pixels, self.alpha):
            _check_plausible(samples)

    @classmethod
    def nothing(cls) -> Shot:
        """For tasks that take no photo."""
        return cls(np.empty((0, 0, 3), dtype=np.uint8))

    @classmethod
    def of(cls, photo: Photo, name: str) -> Shot:
        """A photo that was read from a file."""
        return cls(photo.pixels, photo.alpha, name, photo.source)

    @functools.cached_property
    def seen(self) -> np.ndarray:
        """Its pixels without the colours that nobody sees."""
        return self.pixels if self.alpha is None else without_hidden(self.pixels, self.alpha)

    @functools.cached_property
    def colourless(self) -> bool:
        """Whether a photo in three channels is grey, as they are equal."""
        whole = self.pixels if self.whole is None else self.whole
        if whole.shape[2] != 3 or not whole.size:
            return False
        return all(np.array_equal(whole[..., 0], whole[..., c]) for c in (1, 2))

    def grey(self) -> Shot:
        """Its first channel."""
        whole = None if self.whole is None else self.whole[..., :1]
        return dataclasses.replace(self, pixels=self.pixels[..., :1], whole=whole)

    def part(self, window: Window) -> Shot:
        """What lies within a window of it."""
        alpha = None if self.alpha is None else window.cut(self.alpha)
        return dataclasses.replace(
            self, pixels=window.cut(self.pixels), alpha=alpha, window=window, whole=self.seen
        )

    def floats(self) -> Shot:
        """The same in float32."""
        alpha = None if self.alpha is None else converted(self.alpha, np.dtype(np.float32))
        pixels = converted(self.pixels, np.dtype(np.float32))
        return dataclasses.replace(self, pixels=pixels, alpha=alpha)

    def became(
        self,
        pixels: np.ndarray,
        alpha: np.ndarray | None,
        resized: Callable[[tuple[int, int]], tuple[int, int]],
    ) -> Shot:
        """What a task has made of it: no longer what the file holds.

        Args:
            resized: the size that a whole photo comes out with.
        """
        window = self.window
        if window is not None:  # and of what was made, a part is all there is
            size, (height, width) = (pixels.shape[0], pixels.shape[1]), window.whole
            whole = resized(window.whole)
            if whole == window.whole:  # or the task does not say, as it should
                whole = (
                    round(height * size[0] / window.height),
                    round(width * size[1] / window.width),
                )
            window = window.scaled(size, whole)
        return Shot(pixels, alpha, self.name, window=window)

    def picture(self, noise: Noise, denoised: Callable[[float], Tensor] = no_prior) -> Picture:
        """As a task sees it."""
        alpha = None if self.alpha is None else (to_engine(self.alpha[..., None])[0, 0] + 1) / 2
        whole = None if self.whole is None else functools.partial(to_engine, self.whole)
        pixels = to_engine(self.seen)
        return Picture(pixels, alpha, noise, self.name, self.source, denoised, self.window, whole)


def _check_plausible(samples: np.ndarray | None) -> None:
    if samples is None or samples.dtype.kind != "f" or not samples.size:
        return
    least, most = samples.min(), samples.max()
    if not (least >= -LARGEST and most <= LARGEST):  # NaN is neither
        raise RestorekitError(
            f"its values reach from {least:g} to {most:g}; floats must lie on [0, 1], or near it"
        )
