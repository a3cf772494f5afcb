"""How the two small networks are trained: restorekit/damage and restorekit/noise_level.

Not a script: `train_damage.py` and `train_noise_level.py` say what is learned from what.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from restorekit.training.muon import Muon

SAVE = 180  # seconds between the weights so far
AHEAD = 3  # batches that are made while one is learned from
WARM = 100  # steps until the rate is what it was said to be


def arguments_of(about: str | None, *, minutes: float, batch: int) -> argparse.ArgumentParser:
    """What both scripts take."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("photos", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--init", type=Path, help="weights to start from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rate", type=float, default=3e-3)
    return parser


def ahead(batch: Callable[[int], Any], workers: int) -> Generator[Any, None, None]:
    """batch(0), batch(1), ... for ever, made by threads."""
    with ThreadPoolExecutor(workers) as pool:
        coming = deque(pool.submit(batch, step) for step in range(AHEAD))
        step = AHEAD
        while True:
            coming.append(pool.submit(batch, step))
            step += 1
            yield coming.popleft().result()


def fit(
    network: nn.Module,
    batch: Callable[[int], Any],
    loss: Callable[[int, Any], Tensor],
    arguments: argparse.Namespace,
    *,
    workers: int = 1,
) -> None:
    """Trains a network with a `stem` and a `head`, and writes its averaged weights now and then.

    Args:
        batch: makes what one step learns from, by the step's number.
        loss: of the network, for a step's number and its batch.
    """
    if arguments.init:
        network.load_state_dict({k: v.float() for k, v in load_file(arguments.init).items()})
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.995))
    ends = {
        id(p) for name, p in network.named_parameters() if name.split(".")[0] in ("stem", "head")
    }
    inner = [p for p in network.parameters() if p.ndim == 4 and id(p) not in ends]
    rest = [p for p in network.parameters() if p.ndim != 4 or id(p) in ends]
    optimisers = Muon(inner, arguments.rate), torch.optim.AdamW(rest, arguments.rate)
    began, told, saved, total = time.monotonic(), 0.0, 0.0, 0.0
    with contextlib.closing(ahead(batch, workers)) as made:
        for step, given in enumerate(made):
            progress = (time.monotonic() - began) / (60 * arguments.minutes)
            if progress >= 1:
                break
            value = loss(step, given)
            value.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            warm = min(1.0, (step + 1) / WARM)
            for optimiser in optimisers:
                for group in optimiser.param_groups:
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


def save(averaged: AveragedModel, path: Path) -> None:
    """In half precision, and whole or not at all."""
    state = averaged.module.state_dict()
    part = path.with_suffix(".part")
    save_file({k: v.half().contiguous() for k, v in state.items()}, part)
    part.replace(path)
