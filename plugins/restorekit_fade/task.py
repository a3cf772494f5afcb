"""The task `fade`: faded prints get their density back. Classical: no prior is asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from restorekit.options import Option, strength_option
from restorekit.task import Finding, Picture, Problem, Recipe, Task, Trial
from restorekit.units import from_engine, to_engine

from . import density

if TYPE_CHECKING:
    import numpy as np

    from restorekit.engine.noise import Noise

SURE = 0.55  # of the range left, at most, where the lightest parts look like old paper
COLOURLESS = 0.45  # the same, where no colour tells old paper from a white sky
BARE, EVEN = 0.4, 0.03  # the same, and the most of a cast, where nothing does
PALE = 0.5  # the same, to be told of where it may be mist
WHOLE = 0.85  # the same, from which on nothing of the range is missed
DUSK = 0.4  # of density: a stronger cast is the light's
ALONE = Recipe("none", "ddim", steps=1)  # at noise level 0, where nothing is asked


class Fade(Task):
    """One affine map of each channel's density; see `density`."""

    name = "fade"
    summary = "Give faded and yellowed prints their range and colours back."
    options = (
        strength_option("How far to go: 0 leaves the photo as it is."),
        Option(["--anyway"], is_flag=True, help="Mend a photo that does not look faded, too."),
    )
    recipes = {"fidelity": ALONE, "perceptual": ALONE}
    stage = 30

    def find(self, picture: Picture) -> Iterable[Finding]:
        """Mended in scans where it is sure, and otherwise told: mist and dusk look much like it."""
        fading = density.analysed(picture.pixels)
        if fading is None:
            return
        what, figures = found_in(fading), {"left": fading.left, "cast": fading.cast}
        if sure(fading):
            yield Finding(what, figures, {}, suits=("scan",))
        elif fading.left < PALE and fading.cast < DUSK:
            yield Finding(f"perhaps {what}: see the task fade", figures, {}, suits=())
        else:
            yield Finding(f"perhaps {what}", figures)

    def observe(self, picture: Picture, **options: Any) -> Problem:
        x, strength = picture.pixels, options["strength"]
        fading = density.analysed(picture.whole, options["anyway"])
        if fading is not None and strength:
            x = density.restored(x, fading, strength)
        return Problem.solved(x, described(fading, strength, options["anyway"]))

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        return Trial(degrade, stretched)


def sure(fading: density.Fading) -> bool:
    """Whether it is a print's: mist has no old paper, and is seldom without a colour of its own.

    Of a black and white photo that is so pale, nobody can tell; a print is likelier.
    """
    if not fading.paper:
        return fading.left < BARE and fading.cast < EVEN
    return fading.left < (COLOURLESS if fading.toned else SURE) and fading.cast < DUSK


def described(fading: density.Fading | None, strength: float, anyway: bool) -> str:
    """What was found and done, in plain words."""
    if fading is None and anyway:
        return "is of one shade: left as it is"
    if fading is None:
        return "does not look faded: left as it is; --anyway mends it all the same"
    found = found_in(fading)
    if not strength:
        return f"{found}: left as it is"
    done = "restored" if strength == 1 else f"restored by {strength:.0%}"
    if fading.toned:
        done += ", its tone kept"
    elif cast_of(fading):
        done += f", {strength * density.NEUTRAL:.0%} of the cast removed"
    return f"{found}: {done}"


def cast_of(fading: density.Fading) -> bool:
    """Whether there is a cast to speak of."""
    return not fading.toned and fading.cast > 0.05


def found_in(fading: density.Fading) -> str:
    """How much of its range a picture has left, and whether it has a cast."""
    if fading.left > WHOLE:
        return "yellowed"
    return f"faded to {fading.left:.0%} of a print's range" + ", with a cast" * cast_of(fading)


def degrade(
    clean: np.ndarray, noise: Noise, **options: Any
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Each dye keeps 40 to 70 % of its density, and the paper yellows."""
    import numpy as np

    uniform = noise.branch("fade").normal((clean.shape[2],)).numpy()
    kept = 0.55 + 0.15 * np.tanh(uniform)
    paper = np.array([0.02, 0.03, 0.10])[: clean.shape[2]]
    faded = 10 ** (-paper) * (clean / 255).clip(density.DARKEST, 1) ** kept
    return clean, np.rint(255 * faded).astype(np.uint8), dict(options)


def stretched(faded: np.ndarray, **options: Any) -> np.ndarray:
    """Each channel between its ends, as photo programs do by themselves."""
    import numpy as np
    from skimage.exposure import rescale_intensity

    x = from_engine(to_engine(faded), np.dtype(np.float32))
    ends = np.percentile(x, [density.ENDS, 100 - density.ENDS], axis=(0, 1))
    channels = [
        rescale_intensity(x[..., c], (ends[0, c], ends[1, c]), (0, 1)) for c in range(x.shape[2])
    ]
    return np.rint(255 * np.stack(channels, axis=2)).astype(np.uint8)
