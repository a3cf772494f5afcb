"""What is damaged in a photo: scratches, dust, hairs, creases, stains; or written on.

By a small network that was shown such damage, drawn over photographs; `card.md` says how.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from ..small import loaded

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from .network import DamageNetwork

WEIGHTS = Path(__file__).parent / "weights.safetensors"
SCALES = (1.0, 0.5, 0.25)  # of the photo's size, at which it is looked at
SMALLEST = 256  # pixels of the longer side: smaller ones tell nothing new
LINE, MUCH = 13, 0.4  # pixels, the widest of a line; share of an area that must be sure
TILE, MARGIN = 512, 96  # pixels a side that are marked at once, and seen around them


@functools.lru_cache(maxsize=2)
def _network(weights: Path, _written: int) -> DamageNetwork:
    """Of a file, as it was written at that time."""
    from .network import DamageNetwork

    return loaded(DamageNetwork, weights)


def find(x: Tensor, *, writing: bool = False, weights: Path = WEIGHTS) -> Tensor:
    """How sure each pixel of a picture is damaged, and where asked written on: (1 or 2, H, W).

    On [0, 1]. At the picture's own size, half and a quarter, since damage is of any width: the
    surest counts.

    Args:
        x: (1, C, H, W) on [-1, 1], C = 3 or 1, of any size.
        weights: of the network.

    Raises:
        RestorekitError: for weights of anything else.
    """
    import torch
    import torch.nn.functional as F

    network = _network(weights, weights.stat().st_mtime_ns if weights.exists() else 0)
    size = x.shape[2:]
    x = x.float().clamp(-1, 1).expand(-1, 3, -1, -1)
    kinds = 1 + writing
    surest = torch.zeros(kinds, *size)
    with torch.inference_mode():
        for scale in SCALES:
            if scale < 1:
                small = [max(1, round(side * scale)) for side in size]
                if max(small) < SMALLEST:
                    break
                seen = F.interpolate(x, small, mode="area")
            else:
                seen = x
            here = _find_at(network, seen, kinds)
            if scale < 1:
                here = F.interpolate(here[None], size, mode="bilinear")[0]
            surest = torch.maximum(surest, here)
    return surest


def marked(sure: Tensor, threshold: float) -> np.ndarray:
    """(H, W) bool: what is that sure, and what is half as sure and touches it.

    So a line that fades out is followed, and what is faint alone is left. An area, unlike a line,
    is not followed: it counts where much of it is that sure, since shadows and skies are half so.

    Args:
        sure: (H, W), of one kind that `find` looks for.
    """
    import cv2
    import numpy as np
    from skimage.filters import apply_hysteresis_threshold
    from skimage.measure import label

    level = sure.numpy()
    half, whole = level > threshold / 2, level > threshold
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (LINE, LINE))
    areas = label(cv2.morphologyEx(half.astype(np.uint8), cv2.MORPH_OPEN, disk), connectivity=2)
    counts = np.bincount(areas.ravel())
    share = np.bincount(areas.ravel(), weights=whole.ravel()) / np.maximum(counts, 1)
    doubted = share < MUCH
    doubted[0] = False  # no area
    return apply_hysteresis_threshold(
        np.where(doubted[areas], level * whole, level), threshold / 2, threshold
    )


def _find_at(network: DamageNetwork, x: Tensor, kinds: int) -> Tensor:
    """The same at one size, in tiles that overlap, of the first so many kinds."""
    import torch
    import torch.nn.functional as F

    from .network import MULTIPLE

    height, width = x.shape[2:]
    answer = torch.empty(kinds, height, width)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            rows, columns = (
                (max(0, start - MARGIN), min(side, start + TILE + MARGIN))
                for start, side in ((top, height), (left, width))
            )
            part = x[..., slice(*rows), slice(*columns)]
            down, across = (-side % MULTIPLE for side in part.shape[2:])
            part = F.pad(part, (0, across, 0, down), mode="replicate")
            sure = network(part.contiguous(memory_format=torch.channels_last))[0, :kinds].sigmoid()
            inside = sure[:, top - rows[0] : top - rows[0] + TILE, left - columns[0] :][..., :TILE]
            own = answer[:, top : top + TILE, left : left + TILE]
            own.copy_(inside[:, : own.shape[1], : own.shape[2]])
    return answer
