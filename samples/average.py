"""The mean of several runs' weights, which often does better than any of them.

    python samples/average.py first.safetensors second.safetensors -o mean.safetensors

They must be runs of one network, one trained on from the other or both from one start, or their
mean means nothing (model soups, Wortsman et al. 2022). What the first says of itself is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("weights", type=Path, nargs="+")
parser.add_argument("-o", "--output", type=Path, required=True)


def main() -> None:
    given = parser.parse_args()
    runs = [load_file(path) for path in given.weights]
    if any(run.keys() != runs[0].keys() for run in runs):
        parser.error("these are weights of different networks")
    mean = {
        name: torch.stack([run[name].float() for run in runs]).mean(0).to(kept.dtype)
        for name, kept in runs[0].items()
    }
    with safe_open(given.weights[0], "pt") as first:
        save_file(mean, given.output, first.metadata())


if __name__ == "__main__":
    main()
