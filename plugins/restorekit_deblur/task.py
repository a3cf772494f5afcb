"""The task `deblur`: y = k * x_0 + n, for a kernel k that is known."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restorekit.options import Number, noise_option
from restorekit.task import Picture, Problem, Recipe, Task, Trial
from restorekit.units import sigma_to_engine

from . import kernels

if TYPE_CHECKING:
    from torch import Tensor

LEAST = 1 / 255  # of the noise: rounding, and what a kernel is never known better than


class Deblur(Task):
    """Undoes a blur.

    What lies beyond the photo has been blurred into it, so the picture that is sought is larger by
    the kernel, and what was not measured of it is as unknown as it is: no border is made up. A
    mirrored one costs 1.4 dB where a Gaussian blurred the photo and 5 where a hand shook, and is as
    fast.
    """

    name = "deblur"
    summary = "Sharpen a photo whose blur is known: shaken, or out of focus."
    options = (
        click.Option(
            ["--kernel"],
            type=click.Path(dir_okay=False),
            help="A picture of the blur: what a point of light became, white on black.",
        ),
        click.Option(
            ["--gaussian"],
            type=Number(0.2, 30),
            metavar="SIGMA",
            help="The deviation of a Gaussian, in pixels.",
        ),
        click.Option(
            ["--motion"],
            type=kernels.Motion(),
            help="A straight movement: pixels, an odd number, and degrees counter-clockwise.",
        ),
        click.Option(
            ["--disk"],
            type=Number(0.5, 60),
            metavar="RADIUS",
            help="Out of focus: the radius that points of light have, in pixels.",
        ),
        noise_option(
            "auto finds out; a number on 0..255 is the standard deviation of white noise.",
        ),
    )
    recipes = {
        "fidelity": Recipe("diffpir", "snore", 8, "geometric", 1.0, 0.05),
        "perceptual": Recipe("diffpir", "ddpm", 24, "geometric", 0.25, 0.05),
    }

    stage = 50

    def reads(self, name: str, **options: Any) -> list[Path]:
        kernel = options["kernel"]
        return [Path(kernel)] if isinstance(kernel, str | os.PathLike) else []

    def observe(self, picture: Picture, **options: Any) -> Problem:
        import torch.nn.functional as F
        from cv2 import getOptimalDFTSize

        from restorekit.engine.blur import Blur
        from restorekit.engine.composition import Compose
        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Mask

        kernel = kernels.of(options)
        sigma = options["sigma"]
        notes: tuple[str, ...] = ()
        if sigma == "auto":
            sigma, notes = found_in(picture)
        photo = picture.pixels
        height, width = photo.shape[2:]
        size = (
            getOptimalDFTSize(height + kernel.shape[0] - 1),
            getOptimalDFTSize(width + kernel.shape[1] - 1),
        )
        top, left = (k - 1 - k // 2 for k in kernel.shape)
        around = left, size[1] - width - left, top, size[0] - height - top

        def cropped(x: Tensor) -> Tensor:
            return x[..., top : top + height, left : left + width]

        seen = F.pad(photo.new_ones(1, 1, height, width), around)
        operator = Compose(Mask(seen), Blur(size, kernel))
        return Problem(
            Observation(
                F.pad(photo, around), Degradation(operator, sigma_to_engine(max(sigma, LEAST)))
            ),
            size=(height, width),
            guess=F.pad(photo, around, mode="replicate"),
            finish=cropped,
            notes=notes,
        )

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        from . import trial

        return Trial(trial.degrade, trial.wiener, options=trial.OPTIONS)


def found_in(picture: Picture) -> tuple[float, tuple[str, ...]]:
    """The noise of a photo on [0, 1], and what to tell of it."""
    from restorekit.noise_level import estimate

    level = estimate(picture.whole).level
    return level, (f"noise about {255 * level:.1f} of 255",)
