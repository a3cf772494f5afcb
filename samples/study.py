"""Which network is worth its cost: several designs, trained equally long, then scored and timed.

    python samples/study.py PHOTOS RUNS --minutes 3 --test CLEAN

Prints a Markdown table: PSNR on held-out photos, and at sigma 25 on those of CLEAN, against the
cost of a megapixel on this machine. Designs that RUNS holds already are not trained again.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import torch

from restorekit import plugins, priors
from restorekit.benchmark import benchmark, resolved
from restorekit.choices import Choices
from restorekit.engine.unet import UNet, UNetConfig
from restorekit.restorer import Restorer
from restorekit.training.presets import PRESETS
from restorekit.training.trainer import train

DESIGNS = {
    "full resolution, 32 to 256": UNetConfig(),
    "full resolution, 16 to 128": UNetConfig(widths=(16, 32, 64, 128)),
    "full resolution, 24 to 192": UNetConfig(widths=(24, 48, 96, 192)),
    "full resolution, 32 to 256, blocks 1 1 2 4": UNetConfig(blocks=(1, 1, 2, 4)),
    "unshuffled by 2, 64 to 256": UNetConfig(widths=(64, 128, 256), unshuffle=2),
    "unshuffled by 2, 96 to 384": UNetConfig(widths=(96, 192, 384), unshuffle=2),
    "naf blocks, 32 to 256": UNetConfig(block="naf", blocks=3),
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("photos", type=Path)
parser.add_argument("runs", type=Path)
parser.add_argument("--minutes", type=float, default=3.0)
parser.add_argument("--test", type=Path, help="clean photos to score on besides")
parser.add_argument("--designs", nargs="+", default=list(DESIGNS), choices=list(DESIGNS))


@torch.inference_mode()
def seconds_per_megapixel(network: UNet, side: int = 512, repeats: int = 3) -> float:
    """The best of some float32 evaluations in channels_last."""
    network = network.eval().to(memory_format=torch.channels_last)
    x, level = torch.zeros(1, 3, side, side), torch.zeros(1)
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        network(x, level)
        times.append(time.perf_counter() - began)
    return min(times[1:]) / (side * side / 1e6)


def drunet() -> UNet:
    """DRUNet's cost (Zhang et al. 2021): its widths and blocks, 32.6 million parameters."""
    return UNet(UNetConfig(widths=(64, 128, 256, 512), blocks=4))


def psnr_25(weights: Path, clean: Path) -> float:
    """Mean PSNR in dB at sigma 25 on a folder's photos."""
    task = plugins.registry().task("denoise")
    restorer = Restorer(task, Choices(prior=str(weights)))
    report = benchmark(restorer, clean, resolved(task, {"sigma": 25 / 255}))
    return float(report["mean"]["psnr"])


def main() -> None:
    """Trains what is missing, then prints the table."""
    arguments = parser.parse_args()
    preset = PRESETS["photo-b"]
    yardstick = seconds_per_megapixel(drunet())
    heads = (
        "design",
        "parameters",
        "PSNR 15",
        "PSNR 25",
        "PSNR 50",
        "test 25",
        "crops seen",
        "s / MP",
        "DRUNet",
    )
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    for name in arguments.designs:
        wanted = dataclasses.replace(preset, network=DESIGNS[name], warmup=200, ema=0.998)
        run = arguments.runs / name.replace(" ", "-").replace(",", "")
        weights = run / "prior.safetensors"
        if not weights.exists():
            cache = arguments.runs / "cache"
            train(wanted, arguments.photos, run, cache=cache, minutes=arguments.minutes)
        described = priors.read_metadata(weights)
        network = UNet(DESIGNS[name])
        size = sum(p.numel() for p in network.parameters()) / 1e6
        scores = " | ".join(f"{described['scores'][f'psnr_{s}']:.2f}" for s in (15, 25, 50))
        test = f"{psnr_25(weights, arguments.test):.2f}" if arguments.test else ""
        seen = described["steps"] * wanted.batch
        cost = seconds_per_megapixel(network)
        print(
            f"| {name} | {size:.2f} M | {scores} | {test} | {seen:,} | {cost:.2f} "
            f"| 1/{yardstick / cost:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
