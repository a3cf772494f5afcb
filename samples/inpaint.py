"""Repair a photo that somebody wrote on. White in the mask means: repair here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

import restorekit
from restorekit import images, metrics

PHOTOS = Path(__file__).parent / "photos"


def example() -> dict[str, np.ndarray]:
    """The clean photo, the spoilt one, and the repaired one."""
    clean = images.read(PHOTOS / "cat.png").pixels
    mask = np.zeros(clean.shape[:2], dtype=np.uint8)
    for line, text in enumerate(("do not bend", "keep dry", "return to", "sender")):
        place = (10, 60 + 52 * line)
        cv2.putText(mask, text, place, cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 4)
    spoilt = np.where(mask[..., None] > 0, 255, clean).astype(np.uint8)
    restored = restorekit.restore("inpaint", spoilt, mask=mask > 0)
    assert np.array_equal(restored[mask == 0], clean[mask == 0])
    return {"before": spoilt, "after": restored, "truth": clean}


if __name__ == "__main__":
    pictures = example()
    for name in ("before", "after"):
        score = metrics.psnr(pictures[name], pictures["truth"], data_range=255)
        print(f"{name}: {score:.2f} dB")
