"""Draw pictures from the prior `scene64` alone: flowers, in a sheet.

python samples/generate.py 16
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np

import restorekit
from restorekit import images


def draw(seed: int) -> np.ndarray:
    """A picture of 64 x 64: a sample of p(x_0), by the learned reverse process."""
    picture: np.ndarray = restorekit.restore("generate", mode="perceptual", seed=seed)
    return picture


def example() -> dict[str, np.ndarray]:
    """Three pictures, from three seeds."""
    return {f"seed {seed}": draw(seed) for seed in (1, 2, 3)}


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    pictures = [draw(seed) for seed in range(1, count + 1)]
    across = math.ceil(math.sqrt(count))
    pictures += [np.full_like(pictures[0], 255)] * (-count % across)
    rows = [np.hstack(pictures[i : i + across]) for i in range(0, len(pictures), across)]
    path = Path("flowers.png")
    images.write(path, images.Photo(np.vstack(rows)))
    print(path)
