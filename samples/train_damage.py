"""Trains the network that finds damage, restorekit/damage.

    python samples/train_damage.py PHOTOS CACHE weights.safetensors --marks DAMAGE --minutes 60

DAMAGE has `scans/*.json.gz` and `overlays/KIND/*.png`, marks of real films to draw with; without it
all damage is drawn by rule.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from small_training import arguments_of, fit
from torch import Tensor

from restorekit.damage.network import DamageNetwork, loss
from restorekit.training.damage import Library, damaged, library
from restorekit.training.data import Photos

parser = arguments_of(__doc__, minutes=60.0, batch=6)
parser.add_argument("--marks", type=Path, help="a folder of real and drawn marks")
parser.add_argument("--share", type=float, default=0.45, help="of the crops that are damaged")
parser.add_argument("--side", type=int, default=192, help="of the crops, pixels")


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

    def batch(step: int) -> list[Tensor]:
        """Crops on [-1, 1], what is damaged and where that is sure."""
        rows = [
            damaged(
                np.ascontiguousarray(photos.crop_of(step, index).x_0),
                np.random.default_rng((arguments.seed, step, index)),
                marks,
                arguments.share,
            )
            for index in range(arguments.batch)
        ]
        crops, *masks = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
        x = crops.permute(0, 3, 1, 2).float() / 127.5 - 1
        return [x, *(mask[:, None].float() for mask in masks)]

    def missed(step: int, given: list[Tensor]) -> Tensor:
        x, mask, sure = given
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(x.contiguous(memory_format=torch.channels_last))
        return loss(logits.float(), mask, sure)

    fit(network, batch, missed, arguments)


if __name__ == "__main__":
    main()
