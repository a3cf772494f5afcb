"""The task `colorize`: y = w . x_0, the luma of a picture of colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restorekit.task import Picture, Problem, Recipe, Task, Trial
from restorekit.units import from_engine, to_engine

if TYPE_CHECKING:
    import numpy as np

    from restorekit.engine.noise import Noise

HONEST = "its colours are guessed: a prior that sees textures, not things, gives few, or wrong ones"
DROPPED = "its own colours were left out"


class Colorize(Task):
    """Gives colours that the prior finds likely, and keeps the luma of every pixel.

    Before rounding it is the photo's, and thereafter within half a level of its file's depth. What
    a local prior is sure of is grey: fidelity is hardly coloured, and 0.05 dB better than none.
    Perceptual mode draws colours, half as strong as a photo's, which are wrong as often as not.
    """

    name = "colorize"
    summary = "Guess colours for a black-and-white photo, and keep its luminance."
    recipes = {
        "fidelity": Recipe("ddnm", "snore", 8, "geometric", 1.0, 0.05),
        "perceptual": Recipe("ddnm", "ddpm", steps=32, grid="karras", start=5.0, end=0.02),
    }

    stage = 55

    def observe(self, picture: Picture, **options: Any) -> Problem:
        from restorekit.engine.conditioning import Degradation, Observation

        from .luma import Luma, with_luma

        photo = picture.pixels
        coloured = photo.shape[1] == 3
        y = Luma()(photo) if coloured else photo
        return Problem(
            Observation(y, Degradation(Luma())),
            size=(y.shape[2], y.shape[3]),
            guess=y,
            finish=lambda x: with_luma(x, y),
            notes=(HONEST, DROPPED) if coloured else (HONEST,),
            channels=3,
        )

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        return Trial(degrade, left_grey)


def degrade(
    clean: np.ndarray, noise: Noise, **options: Any
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The luma, rounded to 8 bits."""
    import numpy as np

    from .luma import Luma

    x = to_engine(clean).double()
    y = Luma()(x) if x.shape[1] == 3 else x
    return clean, from_engine(y, np.dtype(np.uint8)), options


def left_grey(grey: np.ndarray, **options: Any) -> np.ndarray:
    """Without colours, which no classical method draws from nothing."""
    import numpy as np

    return np.repeat(grey, 3, axis=2)
