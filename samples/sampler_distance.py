"""How far what samplers draw from `scene64` is from flowers: Fréchet distance against steps.

    python samples/sampler_distance.py FLOWERS --count 256 --steps 10 20 50 250

FLOWERS has a folder for each class. A small classifier is trained on every second picture of each;
its last features (not Inception's, so that the numbers compare with one another alone) are taken
of the other pictures and of as many samples as `--count` says, of the same noise for every sampler.
The distance falls with the number of samples, too. Prints a Markdown table, and beside it the
distance of the pictures trained on, which no sampler can be expected to beat by much.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from restorekit import images, priors
from restorekit.engine.noise import Noise
from restorekit.engine.sampler import GRIDS, STEPS, sample, times_for

SIDE, BATCH = 64, 32
FEATURES = 64
SAMPLERS = {"DDPM": ("ddpm", "uniform"), "DDIM": ("ddim", "uniform")}
SAMPLERS |= {"DPM-Solver++(2M)": ("dpmpp_2m", "karras")}

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("flowers", type=Path)
parser.add_argument("--count", type=int, default=256)
parser.add_argument("--steps", type=int, nargs="+", default=[10, 20, 50, 250])
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--threads", type=int, default=2)


class Classifier(nn.Module):
    """(B, 3, 64, 64) uint8 -> (B, FEATURES), as torchmetrics asks for them; `classes` goes on."""

    num_features = FEATURES

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 128)
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU())
                for a, b in itertools.pairwise(widths)
            )
        )
        self.squeezed = nn.Linear(widths[-1], FEATURES)
        self.classes = nn.Linear(FEATURES, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        h = self.layers(pictures.float() / 127.5 - 1)
        return self.squeezed(h.mean((2, 3)))


def halves(folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Pictures (N, 3, 64, 64) uint8 and their classes: every second of each class, and the rest."""
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    labels: tuple[list[int], list[int]] = ([], [])
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    for label, of_class in enumerate(classes):
        for number, path in enumerate(images.below(of_class)):
            pixels = torch.from_numpy(images.read(path).rgb8().copy()).permute(2, 0, 1)
            top, left = ((side - SIDE) // 2 for side in pixels.shape[1:])
            parts[number % 2].append(pixels[:, top : top + SIDE, left : left + SIDE])
            labels[number % 2].append(label)
    first, second = (
        (torch.stack(some), torch.tensor(told)) for some, told in zip(parts, labels, strict=True)
    )
    return first, second


def trained(pictures: Tensor, labels: Tensor, epochs: int) -> Classifier:
    torch.manual_seed(0)
    network = Classifier(int(labels.max()) + 1)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=0.05)
    rounds = epochs * -(-len(pictures) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, rounds)
    for _ in range(epochs):
        for some in torch.randperm(len(pictures)).split(BATCH):
            x = pictures[some]
            x = x.flip(3) if torch.rand(()) < 0.5 else x
            F.cross_entropy(network.classes(F.relu(network(x))), labels[some]).backward()
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
    return network.eval()


def distance(network: Classifier, real: Tensor, other: Tensor) -> float:
    found = FrechetInceptionDistance(feature=network, input_img_size=(3, SIDE, SIDE))
    for pictures, is_real in ((real, True), (other, False)):
        for some in pictures.split(BATCH):
            found.update(some, real=is_real)
    return float(found.compute())


@torch.inference_mode()
def drawn(sampler: str, grid: str, steps: int, count: int) -> Tensor:
    """Samples (count, 3, 64, 64) uint8."""
    prior = priors.load(priors.shipped()["scene64"], precision="bfloat16")
    time_for, ends = prior.schedule.time_for, {}
    if grid == "karras":  # as `generate` has it
        ends = {"start": float(time_for(80.0)), "end": float(time_for(0.02))}
    times = times_for(prior.schedule, steps, grid=GRIDS[grid], **ends)
    batches = []
    for first in range(0, count, BATCH):
        noise = Noise(0, f"sample {first}")
        x = noise.normal((min(BATCH, count - first), 3, SIDE, SIDE))
        x_0 = sample(prior, x, times, step=STEPS[sampler], noise=noise)
        batches.append(x_0.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8))
    return torch.cat(batches)


def main() -> None:
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    (pictures, labels), (others, truth) = halves(arguments.flowers)
    network = trained(pictures, labels, arguments.epochs)
    with torch.inference_mode():
        said = torch.cat(
            [network.classes(F.relu(network(some))).argmax(1) for some in others.split(BATCH)]
        )
    print(f"classifier: {(said == truth).float().mean():.0%} of the pictures not trained on")
    few = pictures[:: max(1, len(pictures) // arguments.count)][: arguments.count]
    print(f"as many pictures trained on: {distance(network, others, few):.2f}\n")
    print("| | " + " | ".join(f"{steps} steps" for steps in arguments.steps) + " |")
    print("|---" * (1 + len(arguments.steps)) + "|", flush=True)
    for name, (sampler, grid) in SAMPLERS.items():
        row = []
        for steps in arguments.steps:
            began = time.perf_counter()
            samples = drawn(sampler, grid, steps, arguments.count)
            took = (time.perf_counter() - began) / arguments.count
            row.append(f"{distance(network, others, samples):.2f} ({took:.2f} s)")
        print(f"| {name} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
