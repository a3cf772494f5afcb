"""Seconds for each megapixel of a fourfold enlargement: ours, and a network of a single pass.

    python samples/superres_speed.py --threads 2

The single pass is IMDN (Hui et al. 2019), built here with random weights, as its graph alone costs
time. It serves one factor and one kernel, and knows nothing of the data; what it costs is what
people compare with. All are timed in turn, so that a busy machine is as busy for each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from skimage import data
from torch import Tensor, nn

import restorekit

FACTOR = 4
WIDTH, KEPT, BLOCKS = 64, 16, 6  # channels, those that each step sets aside, and blocks
OURS: dict[str, dict[str, str]] = {
    "default": {},
    "effort low": {"effort": "low"},
    "photo, and the same guess": {"prior": "photo"},
}

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--side", type=int, default=128, help="of the small photo, pixels")


class Distilled(nn.Module):
    """IMDN's block: a quarter of the channels is set aside thrice, and weighed by its contrast."""

    def __init__(self) -> None:
        super().__init__()
        rest = WIDTH - KEPT
        inputs, outputs = (WIDTH, rest, rest, rest), (WIDTH, WIDTH, WIDTH, KEPT)
        self.steps = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1) for i, o in zip(inputs, outputs, strict=True)
        )
        squeezed = WIDTH // 16
        self.weigh = nn.Sequential(
            nn.Conv2d(WIDTH, squeezed, 1), nn.ReLU(), nn.Conv2d(squeezed, WIDTH, 1), nn.Sigmoid()
        )
        self.last = nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, aside = x, []
        for step in self.steps[:-1]:
            kept, h = nn.functional.leaky_relu(step(h), 0.05).split([KEPT, WIDTH - KEPT], 1)
            aside.append(kept)
        h = torch.cat([*aside, self.steps[-1](h)], dim=1)
        contrast = h.std((2, 3), keepdim=True) + h.mean((2, 3), keepdim=True)
        return x + self.last(h * self.weigh(contrast))


class SinglePass(nn.Module):
    """(B, 3, H, W) -> (B, 3, 4 H, 4 W)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(Distilled() for _ in range(BLOCKS))
        self.joined = nn.Sequential(nn.Conv2d(WIDTH * BLOCKS, WIDTH, 1), nn.LeakyReLU(0.05))
        self.body = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.enlarge = nn.Sequential(
            nn.Conv2d(WIDTH, 3 * FACTOR**2, 3, padding=1), nn.PixelShuffle(FACTOR)
        )

    def forward(self, x: Tensor) -> Tensor:
        first = h = self.first(x)
        outputs = []
        for block in self.blocks:
            h = block(h)
            outputs.append(h)
        return self.enlarge(first + self.body(self.joined(torch.cat(outputs, dim=1))))


def main() -> None:
    """Prints a Markdown table: the best and the median of the rounds."""
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    side = arguments.side
    small = np.ascontiguousarray(data.chelsea()[60 : 60 + side, 100 : 100 + side])
    network = SinglePass().eval().to(memory_format=torch.channels_last)
    x = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
    x = x.contiguous(memory_format=torch.channels_last)

    def single(precision: str) -> None:
        with torch.inference_mode(), torch.autocast("cpu", enabled=precision == "bfloat16"):
            network(x)

    def ours(precision: str, how: dict[str, str]) -> None:
        restorekit.restore("superres", small, scale=FACTOR, sigma=0.0, precision=precision, **how)

    runs: dict[str, Callable[[], None]] = {}
    for precision in ("float32", "bfloat16"):
        runs[f"IMDN's graph, {precision}"] = lambda precision=precision: single(precision)
        for name, how in OURS.items():
            runs[f"{name}, {precision}"] = lambda precision=precision, how=how: ours(precision, how)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(arguments.rounds + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            if number:  # the first loads weights
                seconds[name].append(time.perf_counter() - began)
    megapixels = (FACTOR * side) ** 2 / 1e6
    print("| | s / MP, best | median |\n|---|---|---|")
    for name, taken in seconds.items():
        best, median = (f(taken) / megapixels for f in (np.min, np.median))
        print(f"| {name} | {best:.2f} | {median:.2f} |")


if __name__ == "__main__":
    main()
