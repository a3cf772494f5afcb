"""Denoise a photo in Python. Floats are on [0, 1], and so is sigma."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import restorekit
from restorekit import images, metrics

PHOTOS = Path(__file__).parent / "photos"


def example() -> dict[str, np.ndarray]:
    """The clean photo, the noisy one, and what restorekit makes of it."""
    clean = images.read(PHOTOS / "astronaut.png").pixels / 255
    noise = np.random.default_rng(0).normal(0, 25 / 255, clean.shape)
    noisy = clean + noise
    restored = restorekit.restore("denoise", noisy, sigma=25 / 255)
    return {"before": noisy, "after": restored, "truth": clean}


if __name__ == "__main__":
    pictures = example()
    for name in ("before", "after"):
        score = metrics.psnr(pictures[name], pictures["truth"], data_range=1)
        print(f"{name}: {score:.2f} dB")
