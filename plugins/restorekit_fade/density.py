"""What fading did to a picture, in optical density, and how it is undone.

The density of a print is D = -log10 v. A dye that fades loses a share of its density everywhere,
and yellowed paper adds some, so D = a D_0 + b for each channel: one affine map undoes it. A power
law of the values is a factor of D, so that it does not matter whether they are linear.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

ENDS = 0.3  # per cent of the picture beyond either end point
LIGHT, DARK = 0.96, 0.05  # of white: where the end points of a print belong
LIFTED = 0.16  # a picture whose darkest parts are lighter than this has lost density
NEUTRAL = 2 / 3  # how much of a cast is taken away: some of it may be the scene's
MOST = 3.0  # the largest gain, since noise and stains gain as much
DARKEST = 1 / 512  # of white, the least value whose density is told apart
SEEN, BORDER = 512, 0.12  # pixels a side that are looked at; share of a side that may be a border
TONED = 0.015  # channels that follow one another this closely are one picture and its tone
PAPER = 0.004, 0.14  # density of old paper: at least in every channel, at most in their mean
YELLOWED = 0.02, 0.16  # how much more of it is in blue than in red
YELLOW, FEW = 0.08, 10  # the same, from which on a print has yellowed; per cent may be bluish
BLUISH = -0.02  # the same, below which a colour is, as neither grey is nor old paper


@dataclass(frozen=True)
class Fading:
    """The affine maps D -> offset + gain D that undo it, for each channel.

    Attributes:
        left: of the range of densities of a good print, the share that is left.
        cast: the largest difference of the channels at an end point, in density.
        toned: whether all channels show one picture, whose tone is kept: that of its dyes regains
            what it lost, and that of its paper, which may be yellowed, stays as it is.
        paper: whether the lightest parts may be old paper: not quite white, and yellowed where
            colours tell. Of a pale scene they are the sky, or as blue or bright as it pleases.
    """

    gains: tuple[float, ...]
    offsets: tuple[float, ...]
    left: float
    cast: float
    toned: bool
    paper: bool


def analysed(pixels: Tensor, anyway: bool = False) -> Fading | None:
    """What fading did to a picture; None where its range and its paper are a good print's.

    Looked at without its borders, and reduced, so that neither specks nor noise are its end points.

    Args:
        pixels: (1, C, H, W) on [-1, 1].
        anyway: take it for faded, unless it is of one shade.
    """
    import numpy as np

    seen = within(reduced(pixels))
    density = -np.log10(seen.clip(DARKEST, 1)).reshape(-1, seen.shape[2])
    light, dark = np.percentile(density, [ENDS, 100 - ENDS], axis=0)
    grey = -np.log10(seen.mean(axis=2).clip(DARKEST, 1))
    lightest, darkest = np.percentile(grey, [ENDS, 100 - ENDS])
    toned = density.shape[1] == 1 or is_toned(density, light, dark)
    may_be_paper = PAPER[0] < light.min() and light.mean() < PAPER[1]
    yellow = light[-1] - light[0]
    lifted = darkest <= -math.log10(LIFTED)
    yellowed = may_be_paper and not toned and has_yellowed(density, yellow)
    if darkest - lightest < 0.02 or not (anyway or lifted or yellowed):
        return None
    wanted = -math.log10(LIGHT), -math.log10(DARK)
    kept = 1.0 if toned else 1 - NEUTRAL
    # About the lightest channel, as none may become lighter than white.
    to_light = wanted[0] + kept * (light - light.min())
    if toned:
        gains = np.full_like(light, (wanted[1] - wanted[0]) / (darkest - lightest))
    else:
        to_dark = wanted[1] + kept * (dark - dark.mean())
        gains = (to_dark - to_light) / np.maximum(dark - light, 1e-3)
    gains = gains.clip(1, MOST)
    return Fading(
        tuple(map(float, gains)),
        tuple(map(float, to_light - gains * light)),
        float(min((darkest - lightest) / (wanted[1] - wanted[0]), 1.0)),
        float(max(np.ptp(light), np.ptp(dark))),
        bool(toned),
        bool(may_be_paper and (BLUISH if toned else YELLOWED[0]) < yellow < YELLOWED[1]),
    )


def is_toned(density: np.ndarray, light: np.ndarray, dark: np.ndarray) -> bool:
    """Whether the channels differ by a curve alone, as those of a toned or yellowed print do."""
    import numpy as np

    even = (density - light) / np.maximum(dark - light, 1e-3)
    return bool(np.abs(even - even.mean(axis=1, keepdims=True)).mean() < TONED)


def has_yellowed(density: np.ndarray, yellow: float) -> bool:
    """Whether a picture is yellow as a whole, not only where it is lightest, as at dawn."""
    import numpy as np

    bluest = np.percentile(density[:, 2] - density[:, 0], FEW)
    return bool(yellow > YELLOW and bluest > BLUISH)


def reduced(pixels: Tensor) -> np.ndarray:
    """(H, W, C) on [0, 1], at most SEEN pixels a side."""
    import torch.nn.functional as F

    height, width = pixels.shape[2:]
    factor = SEEN / max(height, width)
    if factor < 1:
        size = [max(1, round(side * factor)) for side in (height, width)]
        pixels = F.interpolate(pixels, size, mode="area")
    return pixels[0].permute(1, 2, 0).add(1).div(2).clamp(0, 1).numpy()


def within(seen: np.ndarray) -> np.ndarray:
    """Without the borders: a thin rim, and further rows and columns of one colour at the edges."""
    sides = []
    for axis in (0, 1):
        lines = seen.std(axis=1 - axis).max(axis=1)
        least, most = (math.ceil(share * len(lines)) for share in (0.02, BORDER))
        ends = []
        for order in (lines, lines[::-1]):
            plain = 0
            while plain < most and order[plain] < 0.03:
                plain += 1
            ends.append(max(least if len(lines) > 50 else 0, 0 if plain == most else plain))
        sides.append(slice(ends[0], max(len(lines) - ends[1], ends[0] + 1)))
    return seen[tuple(sides)]


def restored(pixels: Tensor, fading: Fading, strength: float) -> Tensor:
    """The picture with its density; (1, C, H, W) on [-1, 1]. What leaves the range is clipped."""
    import torch

    shape = 1, -1, 1, 1
    gains = 1 + strength * (torch.tensor(fading.gains).view(shape) - 1)
    offsets = strength * torch.tensor(fading.offsets).view(shape)
    value = pixels.add(1).div_(2).clamp_(DARKEST, 1)
    density = value.log10_().neg_().mul_(gains).add_(offsets)
    return density.neg_().mul_(math.log(10)).exp_().clamp_(max=1).mul_(2).sub_(1)
