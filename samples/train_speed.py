"""How much of a bare network's speed the trainer keeps: data, logging and averaging must hide.

    python samples/train_speed.py PHOTOS RUN --preset photo-b --steps 200

The trainer's own loop and bare forward, backward and optimiser steps on random tensors take turns,
with the same batch, in one process; the ratio of their median speeds is printed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from restorekit.engine.denoiser import NetworkDenoiser
from restorekit.engine.losses import OBJECTIVES
from restorekit.engine.schedule import SCHEDULES
from restorekit.engine.unet import UNet
from restorekit.training import draws
from restorekit.training.precision import precision_of
from restorekit.training.presets import PRESETS
from restorekit.training.settings import SMALL, Settings
from restorekit.training.trainer import LOG_EVERY, optimisers_for, train

PRIORS = [name for name, settings in PRESETS.items() if settings.objective not in SMALL]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("photos", type=Path)
parser.add_argument("run", type=Path, help="a folder for the trainer; its runs are deleted")
parser.add_argument("--preset", default="photo-b", choices=PRIORS)
parser.add_argument("--steps", type=int, default=150)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--device", default="cpu")


def bare(settings: Settings, device: str, steps: int) -> float:
    """Pictures a second of the steps alone."""
    network = UNet(settings.network).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimisers = optimisers_for(network, settings, device)
    schedule = SCHEDULES[settings.schedule]()
    precision = precision_of(settings, device)
    denoiser = NetworkDenoiser(
        network, schedule, settings.parametrisation, settings.sigma_data, precision
    )
    objective = OBJECTIVES[settings.objective]
    side = settings.crop
    x_0 = torch.rand(settings.batch, 3, side, side, device=device) * 2 - 1
    eps, t = torch.randn_like(x_0), draws.times(settings, schedule, 0)
    speeds = []
    for _ in range(steps // LOG_EVERY):  # as the trainer measures itself
        began = time.perf_counter()
        for _ in range(LOG_EVERY):
            objective(denoiser, x_0, t, eps).mean().backward()
            nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            for optimiser in optimisers:
                optimiser.step()
                optimiser.zero_grad()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        speeds.append(LOG_EVERY * settings.batch / (time.perf_counter() - began))
    return statistics.median(speeds[1:])


def whole(settings: Settings, photos: Path, run: Path, device: str, steps: int) -> float:
    """Pictures a second of the trainer, validations and the first rows left out."""
    shutil.rmtree(run / "run", ignore_errors=True)
    settings = dataclasses.replace(settings, steps=steps)
    train(settings, photos, run / "run", cache=run / "cache", device=device)
    rows = [json.loads(line) for line in (run / "run" / "log.jsonl").read_text().splitlines()]
    speeds = [row["images_per_second"] for row in rows if "images_per_second" in row]
    return statistics.median(speeds[1:])


def main() -> None:
    """Measures in turns and prints."""
    arguments = parser.parse_args()
    steps = max(arguments.steps, 3 * LOG_EVERY)
    settings = PRESETS[arguments.preset]
    loops, steps_alone = [], []
    for _ in range(arguments.rounds):
        steps_alone.append(bare(settings, arguments.device, steps))
        loops.append(whole(settings, arguments.photos, arguments.run, arguments.device, steps))
        print(f"trainer {loops[-1]:.1f}, bare {steps_alone[-1]:.1f} images/s", flush=True)
    ratio = statistics.median(loops) / statistics.median(steps_alone)
    print(f"the trainer keeps {100 * ratio:.1f} % of the bare speed")


if __name__ == "__main__":
    main()
