"""Pictures to try a prior on: photographs, and what photographs are made of.

All are (N, 3, side, side) float32 on [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import images
from ..errors import RestorekitError

# Photographs that scikit-image installs, with the middles of crops that differ: skin, fur, metal,
# glass, print, cloth, and a launch at night.
CROPS = {
    "astronaut": ((110, 220), (420, 120)),
    "chelsea": ((110, 160),),
    "coffee": ((110, 350), (330, 150)),
    "stereo_motorcycle": ((250, 200), (140, 500)),
    "rocket": ((270, 330),),
}


def shipped(side: int, *, whole: bool = False) -> Tensor:
    """Eight of scikit-image's photographs, for a check without photos of one's own.

    Args:
        whole: reduce whole photos to the side, instead of cutting crops of it.
    """
    from skimage import data

    found = []
    for name, middles in CROPS.items():
        loaded = getattr(data, name)()
        pixels = loaded[0] if isinstance(loaded, tuple) else loaded
        for middle in middles:
            found.append(squared(pixels, side, None if whole else middle))
    return torch.stack(found)


def of_folder(path: Path, side: int, *, whole: bool = False, count: int = 8) -> Tensor:
    """The middles of up to `count` photos, evenly spread over a folder's sorted files.

    Raises:
        RestorekitError: if there is no photo, or none is large enough.
    """
    if not path.exists():
        raise RestorekitError(f"{path}: no such file or folder; check the path")
    files = images.below(path) if path.is_dir() else [path]
    if len(files) > count:
        files = [files[i * len(files) // count] for i in range(count)]
    photos = (images.read(file).rgb8() for file in files)
    found = [squared(p, side, None if whole else ()) for p in photos if min(p.shape[:2]) >= side]
    if not found:
        raise RestorekitError(f"{path}: holds no photo of at least {side} x {side} pixels")
    return torch.stack(found)


def squared(pixels: np.ndarray, side: int, middle: tuple[int, ...] | None) -> Tensor:
    """A square (3, side, side) of (H, W, 3) uint8: cut out around `middle`, () being the photo's.

    None reduces the largest square in the middle to the side, by area averaging.
    """
    x = torch.tensor(pixels).permute(2, 0, 1).float() / 255
    wide = min(x.shape[1:]) if middle is None else side
    centre = middle or tuple(length // 2 for length in x.shape[1:])
    top, left = (
        min(max(c - wide // 2, 0), length - wide)
        for c, length in zip(centre, x.shape[1:], strict=True)
    )
    x = x[:, top : top + wide, left : left + wide]
    return F.interpolate(x[None], size=side, mode="area")[0] if wide > side else x


def flat(side: int) -> Tensor:
    """Greys from nearly black to nearly white, skin and sky."""
    greys = [[level] * 3 for level in (0.02, 0.1, 0.3, 0.5, 0.75, 0.97)]
    tints = [*greys, [0.85, 0.65, 0.55], [0.35, 0.55, 0.85]]
    return torch.tensor(tints)[:, :, None, None].expand(-1, -1, side, side).clone()


def ramps(side: int) -> Tensor:
    """Smooth changes: of the whole range, of the shadows alone, of a sky, towards the corners."""
    across = torch.linspace(0, 1, side).expand(3, side, side)
    down = across.mT
    dark, light = (torch.tensor(c)[:, None, None] for c in ([0.2, 0.4, 0.8], [0.8, 0.9, 1.0]))
    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    vignette = (1 - (x**2 + y**2) / 2).expand(3, side, side)
    return torch.stack([across, 0.08 * down, torch.lerp(dark, light, down), 0.6 * vignette])


def saturated(side: int) -> Tensor:
    """Pure colours side by side: each picture has two that differ in every channel."""
    pairs = [("100", "011"), ("010", "101"), ("001", "110"), ("000", "111")]
    halves = [[[float(c) for c in colour] for colour in pair] for pair in pairs]
    x = torch.tensor(halves).mT[..., None, :].repeat_interleave(side // 2, dim=-1)
    return x.expand(-1, -1, side, -1).clone()


def textures(side: int) -> Tensor:
    """Gratings of a few pixels, at low contrast, straight and oblique; and a chessboard."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")

    def grating(period: float, degrees: float) -> Tensor:
        angle = math.radians(degrees)
        return torch.sin(2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / period)

    chess = ((x // 4 + y // 4) % 2) * 2.0 - 1
    waves = torch.stack([grating(3, 0), grating(4, 90), grating(5, 30), chess])
    tint = torch.tensor([0.15, 0.13, 0.11])[:, None, None]
    return 0.45 + tint * waves[:, None]


MADE: dict[str, Callable[[int], Tensor]] = {
    "flat patches": flat,
    "ramps": ramps,
    "saturated colours": saturated,
    "textures": textures,
}
