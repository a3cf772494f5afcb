"""The mean of several runs' weights, for priors.

    python samples/average.py FIRST.safetensors SECOND.safetensors -o mean.safetensors

They must be runs of one network, one trained on from the other or both from one start, or their
mean means nothing (model soups, Wortsman et al. 2022). Try it before you believe in it: the mean of
two runs of `photo` is better than either, that of two of `photo-real` is worse than both.

What the first says of itself is kept, but for what was measured of it alone. `--bits 8` writes a
file of half the size, of one run as well.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from restorekit.tensors import BITS, KEY, save, widened

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("weights", type=Path, nargs="+")
parser.add_argument("-o", "--output", type=Path, required=True)
parser.add_argument("--bits", type=int, choices=BITS, default=16, help="of each weight")


def main() -> None:
    given = parser.parse_args()
    runs = [widened(load_file(path)) for path in given.weights]
    shapes = [{name: tensor.shape for name, tensor in run.items()} for run in runs]
    if any(shape != shapes[0] for shape in shapes):
        parser.error("these are weights of different networks")
    if given.output.exists():
        parser.error(f"{given.output} is there already")
    mean = {name: torch.stack([run[name] for run in runs]).mean(0) for name in runs[0]}
    with safe_open(given.weights[0], "pt") as first:
        said = json.loads(first.metadata()[KEY])
    said = {key: value for key, value in said.items() if key not in ("scores", "soundness")}
    if len(runs) > 1:
        said["mean_of"] = len(runs)
    if "training" in said:
        said["training"]["bits"] = given.bits
    save(given.output, mean, said, given.bits)


if __name__ == "__main__":
    main()
