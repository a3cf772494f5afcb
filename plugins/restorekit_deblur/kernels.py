"""Kernels of blur: (h, w) float64, not negative, with the sum 1 and the middle at (h // 2, w // 2).

They are convolved with, so that a kernel is the picture of a point of light.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from restorekit.errors import RestorekitError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

WIDEST = 255  # pixels a side of a kernel
FINE = 16  # parts of a pixel that a disk's edge is drawn in
WAYS = ("kernel", "gaussian", "motion", "disk")
CALLED_FOR = (
    "say how the photo is blurred: one of --kernel FILE, --gaussian SIGMA, --motion LENGTH,ANGLE "
    "and --disk RADIUS"
)


class Motion(click.ParamType):  # type: ignore[type-arg]
    """LENGTH,ANGLE: pixels, an odd number, and degrees counter-clockwise from the horizontal."""

    name = "LENGTH,ANGLE"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        text = value if isinstance(value, str) else ",".join(map(str, value))
        match = re.fullmatch(r"(\d+)(?:,(-?\d+(?:\.\d+)?))?", text.replace(" ", ""))
        if match is None:
            self.fail(f"{value!r} is no motion; write LENGTH,ANGLE, as in 15,30", param, ctx)
        if not 3 <= int(match[1]) <= WIDEST or int(match[1]) % 2 == 0:
            what = f"is {match[1]} pixels long; give an odd number from 3 to {WIDEST}"
            self.fail(f"{value!r} {what}", param, ctx)
        return f"{match[1]},{match[2] or 0}"


def of(options: Mapping[str, Any]) -> Tensor:
    """The kernel that the options tell of.

    Raises:
        RestorekitError: if they tell of none, or of several.
    """
    told = [way for way in WAYS if options[way] is not None]
    if len(told) != 1:
        raise RestorekitError(CALLED_FOR)
    (way,) = told
    if way == "gaussian":
        return gaussian(options[way])
    if way == "motion":
        length, angle = options[way].split(",")
        return motion(int(length), float(angle))
    return disk(options[way]) if way == "disk" else given(options[way])


def gaussian(sigma: float) -> Tensor:
    """Of a deviation in pixels, as far as four of them."""
    import torch
    from kornia.filters import get_gaussian_kernel2d

    side = 2 * math.ceil(4 * sigma) + 1
    return get_gaussian_kernel2d(side, (sigma, sigma), dtype=torch.float64)[0]


def motion(length: int, angle: float) -> Tensor:
    """Of a straight movement, in pixels and in degrees counter-clockwise from the horizontal."""
    from kornia.filters import get_motion_kernel2d

    return unit(get_motion_kernel2d(length, angle, mode="bilinear")[0].double())


def disk(radius: float) -> Tensor:
    """Of a lens out of focus: how much of each pixel the disk covers."""
    import torch

    reach = math.ceil(radius)
    fine = (torch.arange((2 * reach + 1) * FINE, dtype=torch.float64) + 0.5) / FINE - reach - 0.5
    inside = (fine.square()[:, None] + fine.square() <= radius**2).double()
    return unit(torch.nn.functional.avg_pool2d(inside[None], FINE)[0])


def given(kernel: str | os.PathLike[str] | np.ndarray | Tensor) -> Tensor:
    """Of a picture, white on black, or an array.

    Raises:
        RestorekitError: if there is nothing in it, or too much.
    """
    import torch

    name = "the kernel"
    if isinstance(kernel, str | os.PathLike):
        from restorekit import images

        name = os.fspath(kernel)
        kernel = images.read(name, max_megapixels=1).pixels.mean(axis=2)
    found = torch.as_tensor(kernel, dtype=torch.float64)
    if found.ndim != 2 or 0 in found.shape or max(found.shape) > WIDEST:
        size = " x ".join(map(str, found.shape))
        raise RestorekitError(
            f"{name}: is {size}; a kernel is grey, {WIDEST} pixels a side at most"
        )
    if not (found.isfinite().all() and found.min() >= 0 and found.sum() > 0):
        raise RestorekitError(
            f"{name}: is no kernel; it must be white on black, and nowhere negative"
        )
    return unit(found)


def unit(kernel: Tensor) -> Tensor:
    """With the sum 1: what is blurred is as bright as before."""
    return kernel / kernel.sum()
