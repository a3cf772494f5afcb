"""How much memory there is, and how much a restoration will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from .errors import RestorekitError

if TYPE_CHECKING:
    import torch

    from .engine.denoiser import NetworkDenoiser

STATES = 8  # pictures of the whole size that a restoration holds at once, in float32
SHARE = 0.5  # of the free memory that a tile's evaluation may take
SMALLEST, LARGEST = 256, 2048  # sides of tiles, pixels; larger ones gain nothing


def free(device: torch.device) -> int:
    """Bytes that can still be had on a device."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def tile_for(prior: NetworkDenoiser, device: torch.device) -> int:
    """The side of the tiles that a local prior is evaluated in, from the free memory."""
    halo, multiple = prior.halo or 0, prior.multiple
    side = int((SHARE * free(device) / prior.bytes_per_pixel) ** 0.5) - 2 * halo
    return min(max(side, SMALLEST), LARGEST) // multiple * multiple


def check(size: tuple[int, int], prior: NetworkDenoiser, tile: int | None) -> None:
    """Raises RestorekitError, with the numbers, where a picture of a size will not fit.

    Args:
        size: (H, W) of the restored picture, which stays on the CPU.
        tile: side of the tiles; None where the picture is evaluated whole.
    """
    height, width = size
    evaluated = height * width
    if tile is not None:
        evaluated = min(evaluated, (tile + 2 * (prior.halo or 0)) ** 2)
    needed = STATES * prior.channels * 4 * height * width + prior.bytes_per_pixel * evaluated
    available = psutil.virtual_memory().available
    if needed > available:
        raise RestorekitError(
            f"{width} x {height} pixels need about {needed / 1e9:.1f} GB of memory, and "
            f"{available / 1e9:.1f} GB are free; close other programs, use a smaller --tile, or "
            "restore the photo in parts"
        )
