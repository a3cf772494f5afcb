"""Enlarge a photo four times. What comes out, reduced again, is what went in, to rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import restorekit
from restorekit import images, metrics
from restorekit.engine.operators import Resample
from restorekit.units import from_engine, to_engine

PHOTOS = Path(__file__).parent / "photos"


def example() -> dict[str, np.ndarray]:
    """The large photo, bicubic enlargement of the small one, and restorekit's."""
    large = images.read(PHOTOS / "coffee.png").pixels
    size, quarter = (256, 256), (64, 64)
    small = from_engine(Resample(size, quarter)(to_engine(large)), np.dtype(np.uint8))
    bicubic = from_engine(Resample(quarter, size)(to_engine(small)), np.dtype(np.uint8))
    restored = restorekit.restore("superres", small, scale=4)
    return {"before": bicubic, "after": restored, "truth": large}


if __name__ == "__main__":
    pictures = example()
    for name, shown in (("before", "bicubic"), ("after", "restorekit")):
        score = metrics.psnr(pictures[name], pictures["truth"], data_range=255)
        print(f"{shown}: {score:.2f} dB")
