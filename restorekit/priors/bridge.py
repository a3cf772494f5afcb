"""Priors of what is in memory already: functions that denoise, of whatever library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ..units import sigma_to_engine
from .prior import Prior

if TYPE_CHECKING:
    import torch

    from ..engine.denoiser import Denoiser
    from .function import Function

LEAST = 1e-4  # noise-to-signal ratio; less is none


def from_denoiser(
    f: Function,
    *,
    levels: tuple[float, float] | None = None,
    halo: int | None = None,
    channels: int = 3,
    name: str = "",
    files: Sequence[str | PathLike[str]] = (),
    multiple: int = 1,
    window: int = 256,
    turned: bool = False,
    bound: bool = False,
    bytes_per_pixel: int = 1024,
) -> Prior:
    """A prior of any function that takes noise out of pictures, as most libraries have them.

        restorekit.restore("superres", photo, scale=2, prior=from_denoiser(model, levels=(0, 0.2)))

    Args:
        f: f(noisy, sigma) -> clean, of float32 tensors (B, channels, H, W) on [0, 1], which noise
            exceeds, and the standard deviation of their noise on that scale, a float. A
            `torch.nn.Module` is put on the device that is asked for, and evaluates; any other
            function gets what is on that device, and answers there.
        levels: the least and the largest sigma that it was trained at; None: any. Asked about
            others it is told the nearest, see `FunctionDenoiser`.
        halo: how far it sees, in pixels, if all its layers are local: then large photos are
            evaluated in tiles, exactly. None: in blended windows.
        channels: 3, or 1 for one of grey pictures, which is asked about each channel by itself.
        name: for messages and records; by default the function's own. One that a plugin offers
            has the name that it is offered under.
        files: whose content decides what it answers, as its weights: a folder run is done again
            where they have changed. Without them only the name and what is said here tell.
        multiple: pictures are padded to sides of a multiple of this, on which tiles begin.
        window: side of the pictures that it was trained on, pixels.
        turned: whether it was trained on pictures in quarter turns too, besides mirrored ones.
        bound: whether sigma may be an upper bound of the noise, as for one that finds out the
            level by itself.
        bytes_per_pixel: memory that an evaluation takes, at its peak: how large tiles may be.

    Raises:
        RestorekitError: for channels, levels or a halo that can be none.
    """
    name = name or getattr(f, "__name__", type(f).__name__)
    least, most = (0.0, math.inf) if levels is None else map(sigma_to_engine, levels)

    def load(device: torch.device, precision: str) -> Denoiser:
        import torch

        from ..engine.schedule import linear
        from .function import FunctionDenoiser

        return FunctionDenoiser(
            f.to(device).eval() if isinstance(f, torch.nn.Module) else f,
            linear(),
            heard=(max(least, LEAST), most),
            multiple=multiple,
            precision=getattr(torch, precision),
            window=window,
            turned=turned,
            bound=bound,
            bytes_per_pixel=bytes_per_pixel,
        )

    heard = None if levels is None else (least, most)
    described = {
        "levels": levels,
        "halo": halo,
        "channels": channels,
        "multiple": multiple,
        "window": window,
        "turned": turned,
        "bound": bound,
    }
    return Prior(name, tuple(map(Path, files)), channels, heard, halo, described, load)
