"""Trains the network that estimates noise, restorekit/noise_level.

    python samples/train_noise_level.py PHOTOS CACHE weights.safetensors --minutes 14

Crops are photographed as `restorekit train` does; a part has white noise that no file has rounded
instead, and a few have none at all.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from small_training import arguments_of, fit
from torch import Tensor

from restorekit.engine.noise import Noise
from restorekit.noise_level.network import NoiseNetwork, loss
from restorekit.training.data import Photos
from restorekit.training.photographed import MARGIN, photographed

SIDE = 128  # of the crops, pixels

parser = arguments_of(__doc__, minutes=14.0, batch=12)
parser.add_argument("--jpegs", type=float, default=0.5, help="share of crops that are compressed")
parser.add_argument("--white", type=float, default=0.2, help="share with white noise, unrounded")
parser.add_argument("--clean", type=float, default=0.06, help="share without any noise")


def main() -> None:
    """Trains, and writes the averaged weights in half precision now and then."""
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

    def batch(step: int) -> tuple[Tensor, Tensor]:
        """Clean crops on [-1, 1] and their faults, (B, 3, SIDE, SIDE)."""
        pairs = []
        for index in range(arguments.batch):
            crop = photos.crop_of(step, index).x_0
            rng = np.random.default_rng((arguments.seed, step, index))
            noise = Noise(arguments.seed, f"{step} {index}")
            pairs.append(photographed(crop, SIDE, rng, noise, arguments.jpegs))
        clean, seen = (torch.stack(part) for part in zip(*pairs, strict=True))
        return clean, seen - clean

    def missed(step: int, given: tuple[Tensor, Tensor]) -> Tensor:
        x_0, faults = given
        source = torch.Generator().manual_seed(step)
        chosen, level, grey = torch.rand(3, len(x_0), 1, 1, 1, generator=source)
        eps = torch.randn(x_0.shape, generator=source)
        colourless = (x_0[:, :1] == x_0).flatten(1).all(1)[:, None, None, None]
        without_colour = torch.where(colourless, grey < 0.8, grey < 0.15)
        eps = torch.where(without_colour, eps[:, :1], eps)
        sigma = torch.exp(math.log(1 / 255) + level * math.log(120)) * (chosen > arguments.clean)
        faults = torch.where(chosen < arguments.white, sigma * eps, faults)
        return loss(network(x_0 + faults), faults)

    fit(network, batch, missed, arguments, workers=2)


if __name__ == "__main__":
    main()
