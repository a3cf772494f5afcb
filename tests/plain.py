"""A task without a fault, for tests of what plugins do."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from restorekit.engine.conditioning import (
    Degradation,
    Observation,
)
from restorekit.engine.operators import Identity
from restorekit.task import Picture, Problem, Recipe, Task, Trial


class Plain(Task):
    """A task without a fault: `denoise` for one level of noise."""

    name = "plain"
    summary = "Remove noise of 20 of 255."
    options: Any = (click.Option(["--strength"], type=float, default=1.0, help="Of it."),)
    recipes: Any = {
        "fidelity": Recipe("none", "ddim", steps=1),
        "perceptual": Recipe("none", "ddpm", steps=2),
    }
    prior = "photo-fast"
    sigma = 20 / 255

    def observe(self, picture: Picture, *, strength: float) -> Problem:
        y, level = picture.pixels, 2 * self.sigma * strength
        size = (y.shape[2], y.shape[3])
        observation = Observation(y, Degradation(Identity(), level))
        return Problem(observation, size, guess=y, level=level, guess_is_state=True)

    def degrade(
        self, clean: np.ndarray, noise: Any, **options: Any
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        eps = noise.normal(clean.shape).numpy()
        return clean, (clean / 255 + self.sigma * eps).astype(np.float32), options

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        return Trial(self.degrade, lambda noisy, **_: noisy)
