"""How noisy is a photo, and where? By a small network that was shown the faults of real ones.

Noise is whatever is to be removed: that of sensors, which depends on the signal and is correlated,
film grain, and what JPEG does. Its level is its root mean square, the level that the shipped priors
are told. `card.md` says how the network was trained.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..small import loaded

if TYPE_CHECKING:
    from torch import Tensor

    from .network import NoiseNetwork

WEIGHTS = Path(__file__).parent / "weights.safetensors"
WINDOW, WINDOWS = 256, 16  # pixels a side, and how many are looked at: a megapixel at most
TINY = 48  # pixels a side, below which texture and noise are not told apart
MOST = 0.3  # on [0, 1]: what no training saw, as of dots and dithering


@dataclass(frozen=True)
class Estimate:
    """The noise of a photo, as root mean squares on [0, 1].

    Attributes:
        grey: of the mean over the channels.
        colour: of the channels about their mean; 0 in a grey photo.
        darkest, brightest: in the darkest and the brightest third of the photo.
        doubt: why that may be anything but noise, in words; empty where it is known.
    """

    grey: float
    colour: float
    darkest: float
    brightest: float
    doubt: str = ""

    @property
    def level(self) -> float:
        """Of all channels together."""
        return min(math.hypot(self.grey, self.colour), MOST)

    @property
    def known(self) -> float:
        """The same, and 0 where that is in doubt: for whoever changes a photo unasked."""
        return 0.0 if self.doubt else self.level


@functools.cache
def _network() -> NoiseNetwork:
    from .network import NoiseNetwork

    return loaded(NoiseNetwork, WEIGHTS)


def estimate(x: Tensor) -> Estimate:
    """The noise of a picture (1, C, H, W) on [-1, 1], C = 1 or 3, of any size.

    Large pictures are looked at in some windows, evenly spread.
    """
    import torch

    from .network import Answer

    with torch.inference_mode():
        answers = [_look(window) for window in _windows(x)]
    answer = Answer(*(torch.cat(parts, dim=2) for parts in zip(*answers, strict=True)))
    grey, colour = (unit(log) for log in answer.level()[0].tolist())
    by_shade = answer.here[0].exp().sum(0)[answer.shade[0, 0].argsort()]
    third = max(1, len(by_shade) // 3)
    dark, bright = (
        unit(part.mean().log().item()) for part in (by_shade[:third], by_shade[-third:])
    )
    colour = 0.0 if x.shape[1] == 1 else colour
    doubt = "too small to tell noise from texture" if min(x.shape[2:]) < TINY else ""
    if math.hypot(grey, colour) > MOST:
        doubt = doubt or "rougher than noise is, as dots and dithering are"
    return Estimate(grey, colour, dark, bright, doubt)


def unit(log_mean_square: float) -> float:
    """A root mean square on [0, 1], of the logarithm of a mean square on [-1, 1]."""
    from .network import LEAST

    return max(math.exp(log_mean_square) - LEAST**2, 0.0) ** 0.5 / 2


def _windows(x: Tensor) -> list[Tensor]:
    """The whole picture, or WINDOWS parts of it on a grid, begun on a JPEG's blocks."""
    height, width = x.shape[2:]
    if height * width <= WINDOW**2 * WINDOWS:
        return [x]
    down = min(max(1, round((WINDOWS * height / width) ** 0.5)), WINDOWS)
    starts = [
        [int(max(length - WINDOW, 0) * share) // 8 * 8 for share in evenly(count)]
        for length, count in ((height, down), (width, max(1, WINDOWS // down)))
    ]
    rows, columns = ([slice(start, start + WINDOW) for start in side] for side in starts)
    return [x[..., row, column] for row in rows for column in columns]


def evenly(count: int) -> list[float]:
    """Places from 0 to 1; the middle, of one."""
    return [0.5] if count == 1 else [i / (count - 1) for i in range(count)]


def _look(x: Tensor) -> tuple[Tensor, ...]:
    """What the cells of a window say: the parts of an `Answer`."""
    import torch.nn.functional as F

    from .network import CELL

    x = x.float().expand(-1, 3, -1, -1)
    height, width = x.shape[2:]
    down, across = (max(-side % CELL, 4 * CELL - side) for side in (height, width))
    x = F.pad(x, (0, across, 0, down), mode="replicate")
    inside = (..., slice(max(1, height // CELL)), slice(max(1, width // CELL)))
    return tuple(part[inside].flatten(2) for part in _network()(x))
