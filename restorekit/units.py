"""The only place where units are converted.

Files and arrays hold integers of some depth or floats on [0, 1]; the engine works on [-1, 1].
Noise levels are on 0..255 on the command line, on [0, 1] in Python, and twice that inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def eight_bit(pixels: np.ndarray) -> np.ndarray:
    """uint8 as it is; floats on [0, 1] as a file of 8 bits would hold them."""
    import numpy as np

    if pixels.dtype == np.uint8:
        return pixels
    return np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)


def sigma_to_engine(sigma: float) -> float:
    """A noise level on [0, 1] for pixels on [-1, 1]."""
    return 2 * sigma


def sigma_from_engine(sigma: float) -> float:
    """The inverse of `sigma_to_engine`."""
    return sigma / 2


def to_engine(pixels: np.ndarray) -> Tensor:
    """(H, W, C) uint8, uint16 or float on [0, 1] -> (1, C, H, W) float32 on [-1, 1]."""
    import numpy as np
    import torch

    peak = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    planes = np.array(pixels.transpose(2, 0, 1), dtype=np.float32, order="C", copy=True)
    return torch.from_numpy(planes).mul_(2 / peak).sub_(1).unsqueeze(0)


def from_engine(x: Tensor, dtype: np.dtype) -> np.ndarray:
    """(1, C, H, W) on [-1, 1] -> (H, W, C) of a type, clipped to its range, rounded if integer."""
    import numpy as np

    unit = x[0].detach().float().cpu().add(1).div_(2).clamp_(0, 1).permute(1, 2, 0)
    if np.dtype(dtype).kind != "u":
        return np.ascontiguousarray(unit.numpy(), dtype=dtype)
    peak = np.iinfo(dtype).max
    return np.ascontiguousarray(unit.mul_(peak).round_().numpy().astype(dtype))
