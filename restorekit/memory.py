"""How much memory there is, and how much a restoration will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import host
from .errors import RestorekitError

if TYPE_CHECKING:
    import torch

    from .engine.traits import Traits

# Measured on photos of 16 and 100 megapixels: pictures of the whole size, in float32, held at once
STATES_ALONE, STATES_CONDITIONED = 4, 10  # by one evaluation of a prior, and by a method's steps
SHARE = 0.5  # of the free memory that a tile's evaluation may take,
LARGEST = 3e9  # and bytes; with larger ones the halos hardly cost less
SMALLEST = 256  # side of tiles, pixels


def free(device: torch.device) -> int:
    """Bytes that can still be had on a device."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return host.free_memory()


def tile_for(prior: Traits, device: torch.device, size: tuple[int, int], at_once: int = 1) -> int:
    """The side of the tiles that a local prior is evaluated in; one tile where it all fits.

    Args:
        at_once: how many are evaluated at the same time.
    """
    halo, multiple = prior.halo or 0, prior.multiple
    pixels = min(SHARE * free(device) / at_once, LARGEST) / prior.bytes_per_pixel
    if size[0] * size[1] <= pixels:
        return -(-max(size) // multiple) * multiple
    return max(int(pixels**0.5) - 2 * halo, SMALLEST) // multiple * multiple


def check(
    size: tuple[int, int], prior: Traits, tile: int, states: int, device: torch.device
) -> None:
    """Raises RestorekitError, with the numbers, where a picture of a size will not fit.

    Args:
        size: (H, W) of the restored picture.
        tile: side of the tiles or windows.
        states: pictures of that size that are held at once, in float32.
        device: where it is restored.
    """
    height, width = size
    evaluated = min(height * width, (tile + 2 * (prior.halo or 0)) ** 2)
    needed = states * prior.channels * 4 * height * width + prior.bytes_per_pixel * evaluated
    available = free(device)
    if needed > available:
        raise RestorekitError(
            f"{width} x {height} pixels need about {needed / 1e9:.1f} GB of memory, and "
            f"{available / 1e9:.1f} GB are free; close other programs, use a smaller --tile, or "
            "restore the photo in parts"
        )
