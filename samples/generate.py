"""Draw pictures from the prior alone. Shows what the prior knows, which the cards describe."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import restorekit
from restorekit import images


def example() -> dict[str, np.ndarray]:
    """Two pictures of 128 x 128, from two seeds."""
    first, second = (
        restorekit.restore("generate", size=128, mode="perceptual", steps=40, seed=seed)
        for seed in (1, 2)
    )
    return {"seed 1": first, "seed 2": second}


if __name__ == "__main__":
    for name, picture in example().items():
        path = Path(f"{name.replace(' ', '-')}.png")
        images.write(path, images.Photo(picture))
        print(path)
