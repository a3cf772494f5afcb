"""That tiles change nothing: three tasks in 16 bits, whole and in tiles of several sizes.

    python samples/tiles.py PHOTO.png FOLDER

Prints the largest difference, in steps of 65535, and draws where it is (white: one step).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import restorekit
from restorekit import images

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("photo", type=Path)
parser.add_argument("folder", type=Path)
parser.add_argument("--tiles", type=int, nargs="+", default=[128, 256, 512])
parser.add_argument("--precision", default="float32")


def problems(pixels: np.ndarray) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    """The input and the options of each task, odd sizes all."""
    height, width = pixels.shape[:2]
    rng = np.random.default_rng(0)
    noisy = pixels / 65535 + 20 / 255 * rng.standard_normal(pixels.shape)
    small = cv2.resize(pixels, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    lost = rng.random((height, width)) < 0.5
    return {
        "denoise": (np.rint(noisy.clip(0, 1) * 65535).astype(np.uint16), {"sigma": 20 / 255}),
        "superres": (small, {"scale": 4.0}),
        "inpaint": (pixels, {"mask": lost, "steps": 20}),
    }


def main() -> None:
    """Restores, compares, prints and draws."""
    arguments = parser.parse_args()
    photo = images.read(arguments.photo)
    pixels = photo.at_depth(np.uint16).pixels
    for task, (given, options) in problems(pixels).items():
        options["precision"] = arguments.precision
        whole = restorekit.restore(task, given, tile=8192, **options).astype(int)
        for tile in arguments.tiles:
            tiled = restorekit.restore(task, given, tile=tile, **options).astype(int)
            difference = np.abs(tiled - whole)
            print(
                f"{task}, {whole.shape[1]} x {whole.shape[0]}, tiles of {tile}: at most "
                f"{difference.max()} of 65535, {(difference > 0).mean():.1%} of the samples differ",
                flush=True,
            )
            picture = (255 * difference.max(axis=2, keepdims=True)).clip(0, 255).astype(np.uint8)
            images.write(arguments.folder / f"{task}-{tile}.png", images.Photo(picture))


if __name__ == "__main__":
    main()
