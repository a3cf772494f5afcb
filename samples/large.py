"""The peak memory and the time that one very large photo takes.

    python samples/large.py FOLDER --megapixels 100 -- denoise --sigma 10 --tile 256

makes a 16-bit PNG of that size in FOLDER (or finds it there), restores it with the command after
`--`, in a process of its own, and prints what that process took at its peak.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path)
parser.add_argument("--megapixels", type=float, default=100.0)
parser.add_argument("command", nargs="+", help="a task and its options")


def make(path: Path, megapixels: float) -> None:
    """A photo of 4:3, of smooth shapes, edges and noise of sigma 10 of 255; strip by strip."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = round(megapixels * 1e6 / height)
    rng = np.random.default_rng(0)
    pixels = np.empty((height, width, 3), np.uint16)
    x = np.linspace(0, 1, width, dtype=np.float32)[:, None]
    for top in range(0, height, 256):
        y = np.arange(top, min(top + 256, height), dtype=np.float32)[:, None, None] / height
        waves = np.sin(40 * x * (1 + y) + np.arange(3)) * np.sin(60 * y)
        shapes = 0.5 + 0.2 * waves + 0.2 * np.sign(np.sin(90 * x) * np.sin(70 * y))
        noisy = shapes + 10 / 255 * rng.standard_normal(shapes.shape, dtype=np.float32)
        pixels[top : top + 256] = np.rint(noisy.clip(0, 1) * 65535)
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def main() -> None:
    """Makes, restores and prints."""
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    source = arguments.folder / f"{arguments.megapixels:g}-megapixels.png"
    if not source.exists():
        subprocess.run(
            [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import large;"
             "from pathlib import Path; large.make(Path(sys.argv[2]), float(sys.argv[3]))",
             str(Path(__file__).parent), str(source), str(arguments.megapixels)],
            check=True,
        )  # fmt: skip
    task, *options = arguments.command
    target = source.with_name("restored.png")
    command = [sys.executable, "-m", "restorekit", task, str(source), "-o", str(target)]
    began = time.perf_counter()
    subprocess.run([*command, "--on-exists", "overwrite", *options], check=True)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"{' '.join(arguments.command)}: {seconds:.0f} s, {peak / 1e9:.2f} GB at the peak")


if __name__ == "__main__":
    main()
