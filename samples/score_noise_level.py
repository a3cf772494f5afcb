"""How near the estimated noise comes to the true one, for each kind and level of noise.

    python samples/score_noise_level.py PHOTOS --every 3

Prints a Markdown table of the mean relative error over photos that the network was not trained on,
and in brackets the mean of what was found over what there is. The true level is the root mean
square of all that noise and file have changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from restorekit_denoise.trial import with_noise
from torch import Tensor

from restorekit import camera, images
from restorekit.engine.noise import Noise
from restorekit.noise_level import estimate

LEVELS = 2, 5, 10, 25, 50  # of 255
WIDEST = 256  # pixels a side of what is looked at

Kind = Callable[[Tensor, float, Noise], tuple[Tensor, Tensor]]  # (photo, level) -> noisy, clean

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("photos", type=Path)
parser.add_argument("--every", type=int, default=1, help="only each so many-th photo")


def white(x: Tensor, level: float, noise: Noise) -> tuple[Tensor, Tensor]:
    return camera.white(x, level, noise.normal), x


def of_grey(x: Tensor, level: float, noise: Noise) -> tuple[Tensor, Tensor]:
    grey = x.mean(1, keepdim=True)
    return camera.white(grey, level, noise.normal), grey


def enlarged(x: Tensor, level: float, noise: Noise) -> tuple[Tensor, Tensor]:
    noisy = camera.white(x, level, noise.normal)
    return camera.resized(noisy, 1.5), camera.resized(x, 1.5)


def in_jpeg(quality: int) -> Kind:
    return lambda x, level, noise: (
        camera.jpeg(camera.white(x, level, noise.normal), quality),
        x,
    )


def photographed(kind: str) -> Kind:
    return lambda x, level, noise: (camera.eight_bit(with_noise(x, level, kind, noise)), x)


KINDS: dict[str, Kind] = {
    "white": white,
    "white, of grey photos": of_grey,
    "white, then enlarged x 1.5": enlarged,
    "white, then JPEG 75, 4:2:0": in_jpeg(75),
    "white, then JPEG 95, 4:2:0": in_jpeg(95),
    "a camera's": photographed("camera"),
    "film grain": photographed("grain"),
}


def main() -> None:
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    photos = images.below(arguments.photos)[:: arguments.every]
    print("| | " + " | ".join(f"{level} of 255" for level in LEVELS) + " |")
    print("|---" * (1 + len(LEVELS)) + "|")
    for name, kind in KINDS.items():
        row = []
        for level in LEVELS:
            shares = []
            for path in photos:
                x = torch.from_numpy(images.read(path).pixels[:WIDEST, :WIDEST].copy())
                x = x.permute(2, 0, 1)[None].float() / 255
                noisy, clean = kind(x, level / 255, Noise(0, path.name))
                true = float((noisy - clean).square().mean().sqrt())
                shares.append(estimate(noisy * 2 - 1).level / true)
            error = np.abs(np.array(shares) - 1).mean()
            row.append(f"{error:.0%} ({np.mean(shares):.2f})")
        print(f"| {name} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
