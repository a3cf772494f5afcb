"""Trains the network that estimates noise, restorekit/noise_level.

    python samples/train_noise_level.py PHOTOS CACHE weights.safetensors --minutes 14

Crops are photographed as `restorekit train` does; a part has white noise that no file has rounded
instead, and a few have none at all.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from restorekit.engine.noise import Noise
from restorekit.noise_level.network import NoiseNetwork, loss
from restorekit.training.data import Photos
from restorekit.training.muon import Muon
from restorekit.training.photographed import MARGIN, photographed

SIDE = 128  # of the crops, pixels

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("photos", type=Path)
parser.add_argument("cache", type=Path)
parser.add_argument("weights", type=Path)
parser.add_argument("--minutes", type=float, default=14.0)
parser.add_argument("--init", type=Path, help="weights to start from")
parser.add_argument("--jpegs", type=float, default=0.5, help="share of crops that are compressed")
parser.add_argument("--white", type=float, default=0.2, help="share with white noise, unrounded")
parser.add_argument("--clean", type=float, default=0.06, help="share without any noise")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--batch", type=int, default=12)
parser.add_argument("--rate", type=float, default=3e-3)


def batches(photos: Photos, size: int, jpegs: float, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Clean crops on [-1, 1] and their faults, (size, 3, SIDE, SIDE), some batches ahead."""

    def batch(step: int) -> tuple[Tensor, Tensor]:
        pairs = []
        for index in range(size):
            crop = photos.crop_of(step, index).x_0
            rng = np.random.default_rng((seed, step, index))
            pairs.append(photographed(crop, SIDE, rng, Noise(seed, f"{step} {index}"), jpegs))
        clean, seen = (torch.stack(part) for part in zip(*pairs, strict=True))
        return clean, seen - clean

    with ThreadPoolExecutor(2) as pool:
        coming = deque(pool.submit(batch, step) for step in range(3))
        step = 3
        while True:
            coming.append(pool.submit(batch, step))
            step += 1
            yield coming.popleft().result()


def main() -> None:
    """Trains, and writes the averaged weights in half precision."""
    arguments = parser.parse_args()
    torch.manual_seed(0)
    photos = Photos(
        arguments.photos,
        arguments.cache,
        SIDE + 2 * MARGIN,
        scales=(1.0, 0.75, 0.5),
        held_out=0.03,
        grey=0.1,
        faded=0.12,
        seed=arguments.seed,
    )
    network = NoiseNetwork().to(memory_format=torch.channels_last)
    if arguments.init:
        network.load_state_dict({k: v.float() for k, v in load_file(arguments.init).items()})
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
    )
    ends = {id(p) for layer in (network.stem, network.head) for p in layer.parameters()}
    inner = [p for p in network.parameters() if p.ndim == 4 and id(p) not in ends]
    rest = [p for p in network.parameters() if p.ndim != 4 or id(p) in ends]
    optimisers = Muon(inner, arguments.rate), torch.optim.AdamW(rest, arguments.rate)
    began, told, total = time.monotonic(), 0.0, 0.0
    made = batches(photos, arguments.batch, arguments.jpegs, arguments.seed)
    for step, (x_0, faults) in enumerate(made):
        progress = (time.monotonic() - began) / (60 * arguments.minutes)
        if progress >= 1:
            break
        source = torch.Generator().manual_seed(step)
        chosen, level, grey = torch.rand(3, len(x_0), 1, 1, 1, generator=source)
        eps = torch.randn(x_0.shape, generator=source)
        colourless = (x_0[:, :1] == x_0).flatten(1).all(1)[:, None, None, None]
        without_colour = torch.where(colourless, grey < 0.8, grey < 0.15)
        eps = torch.where(without_colour, eps[:, :1], eps)
        sigma = torch.exp(math.log(1 / 255) + level * math.log(120)) * (chosen > arguments.clean)
        faults = torch.where(chosen < arguments.white, sigma * eps, faults)
        value = loss(network(x_0 + faults), faults)
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                warm = min(1.0, (step + 1) / 100)
                group["lr"] = arguments.rate * warm * 0.5 * (1 + math.cos(math.pi * progress))
            optimiser.step()
            optimiser.zero_grad()
        averaged.update_parameters(network)
        total += value.item()
        if step % 100 == 99:
            now = time.monotonic() - began
            print(f"step {step + 1}: loss {total / 100:.3f}, {100 / (now - told):.1f} steps/s")
            told, total = now, 0.0
    state = averaged.module.state_dict()
    save_file({k: v.half().contiguous() for k, v in state.items()}, arguments.weights)


if __name__ == "__main__":
    main()
