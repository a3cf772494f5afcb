"""The task `denoise`: y = x_0 + n, white Gaussian noise of a known or estimated level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from restorekit.options import NoiseLevel
from restorekit.task import Picture, Problem, Recipe, Task, Trial
from restorekit.units import sigma_from_engine, sigma_to_engine

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorekit.engine.noise import Noise


class Denoise(Task):
    """One evaluation at the matching time is E[x_0 | y], hence the best PSNR.

    Perceptual mode samples on from there: y is x_t, so that p(x_0 | y) is what the ancestral
    sampler draws, and no conditioning is needed.
    """

    name = "denoise"
    summary = "Remove noise."
    options = (
        click.Option(
            ["--sigma"],
            type=NoiseLevel(auto=True),
            default="auto",
            show_default=True,
            help="Standard deviation of the noise on 0..255, or auto to estimate it.",
        ),
    )
    recipes = {
        "fidelity": Recipe("none", "ddim", steps=1),
        "perceptual": Recipe("none", "ddpm", steps=16, grid="karras", end=0.02),
    }

    def observe(self, picture: Picture, **options: Any) -> Problem:
        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Identity

        y = picture.pixels
        notes: tuple[str, ...] = ()
        if options["sigma"] == "auto":
            level = estimate_sigma(y)
            notes = (f"estimated noise: sigma {255 * sigma_from_engine(level):.1f}",)
        else:
            level = sigma_to_engine(options["sigma"])
        return Problem(
            Observation(y, Degradation(Identity(), level)),
            size=(y.shape[2], y.shape[3]),
            guess=y,
            level=level,
            guess_is_state=True,
            notes=notes,
        )

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        return Trial(degrade, non_local_means)


def estimate_sigma(y: Tensor) -> float:
    """The noise level of (1, C, H, W)."""
    from .noise_level import estimate

    return estimate(y[0].permute(1, 2, 0).numpy())


def degrade(
    clean: np.ndarray, noise: Noise, *, sigma: float | str
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Adds unclipped Gaussian noise; with "auto" of level 25, which must then be estimated."""
    level = 25 / 255 if isinstance(sigma, str) else sigma
    eps = noise.normal(clean.shape).numpy()
    return clean, (clean / 255 + level * eps).astype("float32"), {"sigma": sigma}


def non_local_means(noisy: np.ndarray, *, sigma: float | str) -> np.ndarray:
    """OpenCV's, on 8 bits, which is all it takes, at the strength that does best on photos."""
    import cv2

    from restorekit.units import eight_bit, to_engine

    if isinstance(sigma, str):
        sigma = sigma_from_engine(estimate_sigma(to_engine(noisy)))
    eight = eight_bit(noisy)
    strength = max(0.65 * 255 * sigma, 1.0)
    if eight.shape[2] == 1:
        return cv2.fastNlMeansDenoising(eight, None, strength, 7, 21)[..., None]
    return cv2.fastNlMeansDenoisingColored(eight, None, strength, strength, 7, 21)
