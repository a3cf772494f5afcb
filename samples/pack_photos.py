"""Packs photos for training on another machine, at half their size.

    python samples/pack_photos.py PHOTOS PACKED --megabytes 40

Photos taken from PHOTOS in turn, as many as fit, are halved by area averaging, which hides what
their own compression did, and written as WebP of a quality whose traces noise of sigma 3 covers.
ATTRIBUTION.tsv goes along, with the lines of those that were taken.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from restorekit import images

QUALITY = 92

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("photos", type=Path)
parser.add_argument("packed", type=Path, help="a new folder")
parser.add_argument("--megabytes", type=float, default=40.0)
parser.add_argument("--least", type=int, default=128, help="pixels of the shorter side, halved")


def main() -> None:
    """Packs, and says how much of what there is."""
    arguments = parser.parse_args()
    arguments.packed.mkdir(parents=True)
    files = images.below(arguments.photos)
    files.sort(key=lambda path: hashlib.sha256(path.name.encode()).digest())  # a fair mixture
    taken: set[str] = set()
    left = arguments.megabytes * 1e6
    for file in files:
        pixels = images.read(file).rgb8()
        height, width = (side // 2 for side in pixels.shape[:2])
        if min(height, width) < arguments.least:
            continue
        half = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        target = arguments.packed / f"{file.stem}.webp"
        Image.fromarray(np.ascontiguousarray(half)).save(target, quality=QUALITY, method=6)
        left -= target.stat().st_size
        if left < 0:
            target.unlink()
            break
        taken.add(file.name)
    attribution = arguments.photos / "ATTRIBUTION.tsv"
    if attribution.exists():
        head, *lines = attribution.read_text().splitlines(keepends=True)
        kept = [line for line in lines if Path(line.split("\t")[0]).name in taken]
        (arguments.packed / attribution.name).write_text("".join([head, *kept]))
    print(f"{len(taken)} of {len(files)} photos, {arguments.megabytes - left / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
