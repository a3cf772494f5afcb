"""All four tasks on the sample photos: pictures, a contact sheet, a table of scores.

python samples/demo.py FOLDER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import denoise
import generate
import inpaint
import numpy as np
import superres

from restorekit import images, metrics
from restorekit.units import eight_bit

TILE = 256
TASKS = {
    "denoise": denoise.example,
    "inpaint": inpaint.example,
    "superres": superres.example,
    "generate": generate.example,
}


def tile(picture: np.ndarray, label: str) -> np.ndarray:
    """A square of the contact sheet with its label beneath."""
    square = cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    strip = np.full((28, TILE, 3), 255, dtype=np.uint8)
    cv2.putText(strip, label, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1)
    return np.vstack([square, strip])


def main(folder: Path) -> None:
    """Runs the examples and writes everything into the folder."""
    rows = []
    print(f"{'task':10}{'before':>10}{'after':>10}{'SSIM':>10}{'seconds':>10}")
    for task, example in TASKS.items():
        began = time.perf_counter()
        pictures = {name: eight_bit(picture) for name, picture in example().items()}
        seconds = time.perf_counter() - began
        for name, picture in pictures.items():
            images.write(folder / f"{task}-{name.replace(' ', '-')}.png", images.Photo(picture))
        rows.append([tile(p, f"{task}: {name}") for name, p in pictures.items()])
        if "truth" in pictures:
            truth = pictures["truth"]
            before, after = (metrics.psnr(pictures[n], truth, 255) for n in ("before", "after"))
            ssim = metrics.ssim(pictures["after"], truth, 255)
            print(f"{task:10}{before:>7.2f} dB{after:>7.2f} dB{ssim:>10.4f}{seconds:>10.1f}")
        else:
            print(f"{task:10}{'':>30}{seconds:>10.1f}")
    width = max(len(row) for row in rows)
    blank = np.full_like(rows[0][0], 255)
    sheet = np.vstack([np.hstack(row + [blank] * (width - len(row))) for row in rows])
    images.write(folder / "contact-sheet.png", images.Photo(sheet))
    restored = rows[:-1]  # all but what was drawn from nothing
    strips = [np.hstack([row[i][:TILE] for row in restored]) for i in (0, 1)]
    images.write(folder / "before-after.png", images.Photo(np.vstack(strips)))
    print(f"pictures and contact sheet: {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
