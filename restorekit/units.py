"""The only place where units are converted.

Files and arrays hold integers of some depth or floats on [0, 1]; the engine works on [-1, 1].
Noise levels are on 0..255 on the command line, on [0, 1] in Python, and twice that inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

YEAR = 366 * 24 * 60  # minutes: the longest that anything may be asked to take


def peak_of(dtype: np.dtype | type) -> int:
    """The value of white in samples of a type."""
    import numpy as np

    dtype = np.dtype(dtype)
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else 1


def converted(samples: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Samples of another type: white stays white, and what lies between is rounded."""
    import numpy as np

    if samples.dtype == dtype:
        return samples
    if samples.dtype == np.uint16 and dtype == np.uint8:
        return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)  # rounds x / 257
    if samples.dtype == np.uint8 and dtype == np.uint16:
        return samples.astype(np.uint16) * np.uint16(257)
    scaled = samples.astype(np.float64) * (peak_of(dtype) / peak_of(samples.dtype))
    return (np.rint(scaled) if np.dtype(dtype).kind == "u" else scaled).astype(dtype)


def eight_bit(pixels: np.ndarray) -> np.ndarray:
    """Integers, or floats on [0, 1], as a file of 8 bits would hold them."""
    import numpy as np

    return converted(pixels.clip(0, 1) if pixels.dtype.kind == "f" else pixels, np.uint8)


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

    planes = np.array(pixels.transpose(2, 0, 1), dtype=np.float32, order="C", copy=True)
    return torch.from_numpy(planes).mul_(2 / peak_of(pixels.dtype)).sub_(1).unsqueeze(0)


def from_engine(x: Tensor, dtype: np.dtype) -> np.ndarray:
    """(1, C, H, W) on [-1, 1] -> (H, W, C) of a type, clipped to its range, rounded if integer."""
    import numpy as np

    unit = x[0].detach().float().cpu().add(1).div_(2).clamp_(0, 1).permute(1, 2, 0)
    if np.dtype(dtype).kind != "u":
        return np.ascontiguousarray(unit.numpy(), dtype=dtype)
    return np.ascontiguousarray(unit.mul_(peak_of(dtype)).round_().numpy().astype(dtype))
