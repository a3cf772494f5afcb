"""Trains the network that estimates noise, restorekit/noise_level.

    python samples/train_noise_level.py PHOTOS CACHE weights.safetensors --minutes 14

Crops are photographed as `restorekit train` does, or have plain noise that no file has rounded, or
none at all; then many are saved as good JPEGs.
"""

from __future__ import annotations

import numpy as np
import torch
from small_training import arguments_of, fit
from torch import Tensor

from restorekit import camera
from restorekit.engine.noise import Noise
from restorekit.noise_level.network import NoiseNetwork, loss
from restorekit.training import photographed as photographing
from restorekit.training.data import Photos

SIDE = 128  # of the crops, pixels
GRAIN = 0.4  # share of grain in plain noise

parser = arguments_of(__doc__, minutes=14.0, batch=12)
parser.add_argument("--jpegs", type=float, default=0.4, help="share of crops that are compressed")
parser.add_argument(
    "--plain", type=float, default=0.4, help="share with noise that is not photographed"
)
parser.add_argument("--clean", type=float, default=0.06, help="share of those without any noise")
parser.add_argument("--saved", type=float, default=0.4, help="share then saved as a good JPEG")


def with_plain(clean: Tensor, rng: np.random.Generator, noise: Noise, none: float) -> Tensor:
    """White noise of any level on (3, H, W), or on its grey alone, or grain; sometimes none."""
    if rng.random() < GRAIN:
        grainy = photographing.by_grain(clean[None] / 2 + 0.5, rng, noise)
        return grainy[0].clamp(0, 1) * 2 - 1
    sigma = photographing.log_uniform(rng, 1 / 255, 120 / 255) if rng.random() >= none else 0.0
    colourless = bool((clean[:1] == clean).all())
    channels = 1 if rng.random() < (0.8 if colourless else 0.15) else 3
    return clean + sigma * noise.normal((channels, *clean.shape[1:]))


def saved(seen: Tensor, rng: np.random.Generator) -> Tensor:
    """As a JPEG of a phone or of an editor, which keeps most of the noise, but half its colour."""
    sampling = "4:2:0" if rng.random() < 0.7 else "4:4:4"
    quality = int(rng.integers(70, 99))
    return camera.jpeg(seen[None] / 2 + 0.5, quality, sampling)[0] * 2 - 1


def main() -> None:
    """Trains, and writes the averaged weights in half precision now and then."""
    arguments = parser.parse_args()
    torch.manual_seed(0)
    photos = Photos(
        arguments.photos,
        arguments.cache,
        SIDE + 2 * photographing.MARGIN,
        scales=(1.0, 0.75, 0.5),
        held_out=0.03,
        grey=0.1,
        faded=0.12,
        seed=arguments.seed,
    )
    network = NoiseNetwork().to(memory_format=torch.channels_last)

    def example(step: int, index: int) -> tuple[Tensor, Tensor]:
        crop = photos.crop_of(step, index).x_0
        rng = np.random.default_rng((arguments.seed, step, index))
        noise = Noise(arguments.seed, f"{step} {index}")
        clean, seen = photographing.photographed(crop, SIDE, rng, noise, arguments.jpegs)
        if rng.random() < arguments.plain:
            seen = with_plain(clean, rng, noise, arguments.clean)
        if rng.random() < arguments.saved:
            seen = saved(seen, rng)
        return clean, seen

    def batch(step: int) -> tuple[Tensor, Tensor]:
        """Crops on [-1, 1] and their faults, (B, 3, SIDE, SIDE)."""
        pairs = [example(step, index) for index in range(arguments.batch)]
        clean, seen = (torch.stack(part) for part in zip(*pairs, strict=True))
        return seen, seen - clean

    def missed(step: int, given: tuple[Tensor, Tensor]) -> Tensor:
        seen, faults = given
        return loss(network(seen), faults)

    fit(network, batch, missed, arguments, workers=2)


if __name__ == "__main__":
    main()
