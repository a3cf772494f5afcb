"""Trains the network that finds damage, restorekit/damage.

    python samples/train_damage.py PHOTOS CACHE weights.safetensors --marks DAMAGE --minutes 60

DAMAGE has `scans/*.json.gz` and `overlays/KIND/*.png`, marks of real films to draw with; without it
all damage is drawn by rule.
"""

from __future__ import annotations

import argparse
import contextlib
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

from restorekit.damage.network import DamageNetwork, loss
from restorekit.training.damage import Library, damaged, library
from restorekit.training.data import Photos
from restorekit.training.muon import Muon

SAVE = 180  # seconds between the weights so far

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("photos", type=Path)
parser.add_argument("cache", type=Path)
parser.add_argument("weights", type=Path)
parser.add_argument("--marks", type=Path, help="a folder of real and drawn marks")
parser.add_argument("--minutes", type=float, default=60.0)
parser.add_argument("--init", type=Path, help="weights to start from")
parser.add_argument("--share", type=float, default=0.45, help="of the crops that are damaged")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--side", type=int, default=192, help="of the crops, pixels")
parser.add_argument("--batch", type=int, default=6)
parser.add_argument("--rate", type=float, default=3e-3)


def batches(
    photos: Photos, marks: Library, size: int, share: float, seed: int
) -> Iterator[list[Tensor]]:
    """Crops on [-1, 1], what is damaged and where that is sure, some batches ahead."""

    def batch(step: int) -> list[Tensor]:
        rows = [
            damaged(
                np.ascontiguousarray(photos.crop_of(step, index).x_0),
                np.random.default_rng((seed, step, index)),
                marks,
                share,
            )
            for index in range(size)
        ]
        crops, *masks = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
        x = crops.permute(0, 3, 1, 2).float() / 127.5 - 1
        return [x, *(mask[:, None].float() for mask in masks)]

    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(batch, step) for step in range(3))
        step = 3
        while True:
            coming.append(pool.submit(batch, step))
            step += 1
            yield coming.popleft().result()


def save(averaged: torch.optim.swa_utils.AveragedModel, path: Path) -> None:
    state = averaged.module.state_dict()
    part = path.with_suffix(".part")
    save_file({k: v.half().contiguous() for k, v in state.items()}, part)
    part.replace(path)


def main() -> None:
    """Trains, and writes the averaged weights in half precision now and then."""
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    photos = Photos(
        arguments.photos,
        arguments.cache,
        arguments.side,
        scales=(1.0, 0.6, 0.35),
        held_out=0.03,
        rotate=False,  # faces are upright
        seed=arguments.seed,
    )
    marks = library(arguments.marks) if arguments.marks else Library()
    network = DamageNetwork().to(memory_format=torch.channels_last)
    if arguments.init:
        network.load_state_dict({k: v.float() for k, v in load_file(arguments.init).items()})
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
    )
    ends = {id(p) for layer in (network.stem, network.head) for p in layer.parameters()}
    inner = [p for p in network.parameters() if p.ndim == 4 and id(p) not in ends]
    rest = [p for p in network.parameters() if p.ndim != 4 or id(p) in ends]
    optimisers = Muon(inner, arguments.rate), torch.optim.AdamW(rest, arguments.rate)
    began, told, saved, total = time.monotonic(), 0.0, 0.0, 0.0
    made = batches(photos, marks, arguments.batch, arguments.share, arguments.seed)
    with contextlib.closing(made):
        for step, (x, mask, sure) in enumerate(made):
            progress = (time.monotonic() - began) / (60 * arguments.minutes)
            if progress >= 1:
                break
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(x.contiguous(memory_format=torch.channels_last))
            value = loss(logits.float(), mask, sure)
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
            now = time.monotonic() - began
            if step % 100 == 99:
                print(f"step {step + 1}: {total / 100:.4f}, {100 / (now - told):.1f}/s", flush=True)
                told, total = now, 0.0
            if now - saved > SAVE:
                save(averaged, arguments.weights)
                saved = now
    save(averaged, arguments.weights)


if __name__ == "__main__":
    main()
