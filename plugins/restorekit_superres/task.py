"""The task `superres`: y = A x_0 (+ n), A the antialiased bicubic reduction."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from restorekit.options import Number, noise_option, strength_option
from restorekit.task import Finding, Picture, Problem, Recipe, Task, Trial
from restorekit.units import from_engine, sigma_to_engine, to_engine

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorekit.engine.noise import Noise
    from restorekit.engine.operators import LinearOperator

SMALL = 0.6e6  # pixels
LARGEST = 120e6  # pixels of a result; each takes some 60 bytes of memory
LEAST = 4 / 255  # what may be fine texture: less noise than that is left to the enlargement
LEFT = 0.5  # deviation of what is still wrong after denoising, as a share of the noise


TRIAL = (
    click.Option(
        ["--quality"],
        type=click.IntRange(1, 100),
        help="Of a JPEG, 4:2:0, that the small photo comes as; none by default.",
    ),
)
FEW = {"sampler": "hqs", "start": 0.15, "steps": 3}  # the guess has no need of higher levels


class SuperResolution(Task):
    """Enlarges by any real factor; the result, reduced again, is the input."""

    name = "superres"
    summary = "Enlarge a photo."
    options = (
        click.Option(
            ["--scale"],
            type=Number(1, 8, min_open=True),
            default=2.0,
            show_default=True,
            help="Factor of enlargement, any number above 1 up to 8.",
        ),
        noise_option(
            "removed first; auto finds out how much there is, a JPEG's artefacts included; a "
            "number on 0..255 is the standard deviation of white noise.",
        ),
        strength_option("How much of the noise is removed."),
    )
    recipes = {
        "fidelity": Recipe(
            "diffpir",
            "snore",
            8,
            "geometric",
            1.0,
            0.05,
            prior="photo-few",
            unfolded=FEW,
            low={"steps": 2, "unfolded": FEW | {"steps": 1}},
        ),
        "perceptual": Recipe(
            "diffpir",
            "dpmpp_2m",
            4,
            "karras",
            0.5,
            0.02,
            prior="photo-few",
            refines="fidelity",
            unfolded={"steps": 4, "levels": (), "start": 0.3},
            low={"steps": 2, "unfolded": {"steps": 2, "levels": (), "start": 0.3}},
        ),
    }

    stage = 60

    def find(self, picture: Picture) -> Iterable[Finding]:
        """Nobody asked for more pixels, but what comes from the web has too few."""
        height, width = picture.pixels.shape[2:]
        if height * width < SMALL:
            yield Finding("few pixels", {}, {"scale": 2.0}, suits=("web",))

    def resized(self, size: tuple[int, int], **options: Any) -> tuple[int, int]:
        """Each side enlarged and rounded."""
        return round(size[0] * options["scale"]), round(size[1] * options["scale"])

    def observe(self, picture: Picture, **options: Any) -> Problem:
        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Resample
        from restorekit.enlargement import enlarged
        from restorekit.errors import RestorekitError

        y = picture.pixels
        h, w = y.shape[2:]
        size = self.resized((h, w), **options)
        if size[0] * size[1] > LARGEST:
            raise RestorekitError(f"{size[1]} x {size[0]} pixels is too large; lower --scale")
        sigma, strength = options["sigma"], options["strength"]
        notes: tuple[str, ...] = ()
        if sigma == "auto":
            sigma, notes = found_in(picture, strength)
        if size == (h, w):
            notes += (f"{options['scale']:g} times {w} x {h} pixels is no larger",)
        removed, level = sigma_to_engine(strength * sigma), 0.0
        if removed:  # at the small size, where it is still known, and before it is sharpened
            y, level = picture.denoised(removed), LEFT * removed
        operator = Resample(size, (h, w))
        finish = None if level else lambda x: consistent(x, y, operator)
        return Problem(
            Observation(y, Degradation(operator, level)),
            size,
            guesser=functools.partial(enlarged, y, size, level),
            finish=finish,
            notes=notes,
        )

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        return Trial(degrade, enlarge, options=TRIAL, luma=True, border="scale")


def found_in(picture: Picture, strength: float) -> tuple[float, tuple[str, ...]]:
    """The level of a photo's noise on [0, 1], 0 where it is to be left, and what to tell of it."""
    from restorekit.noise_level import estimate

    found = estimate(picture.whole).known if strength else 0.0
    if found < LEAST:
        return 0.0, ()
    done = "removed first" if strength == 1 else f"removed first at {strength:g} times that"
    return found, (f"noise about {255 * found:.1f} of 255, a JPEG's artefacts included: {done}",)


def consistent(x: Tensor, y: Tensor, operator: LinearOperator, rounds: int = 30) -> Tensor:
    """The picture within the range of pixels, near x, whose reduction is y.

    Alternating projections: clipping what the data asks for beyond white or black would make
    the result disagree with the photo. Where y itself is black or white, more is as good. With
    momentum (Nesterov 1983), as over- and underexposed photos need hundreds of rounds without.
    """
    import torch

    x = x.clamp(-1, 1)
    ahead = x
    for _ in range(rounds):
        reduced = operator(ahead)
        target = torch.where(y <= -1, reduced.clamp(max=-1), y)
        target = torch.where(y >= 1, reduced.clamp(min=1), target)
        error = target - reduced
        if error.abs().max() < 1e-4:
            break
        before, x = x, (ahead + operator.pinv(error)).clamp(-1, 1)
        ahead = x + 0.8 * (x - before)
    return x


def degrade(
    clean: np.ndarray,
    noise: Noise,
    *,
    scale: float,
    sigma: float | str,
    quality: int | None,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Crops so that the factor fits, reduces with the antialiased bicubic, rounds to 8 bits.

    Then noise of level sigma, none for "auto"; or a JPEG with chroma at half the size.
    """
    import numpy as np

    from restorekit import camera
    from restorekit.engine.operators import Resample

    h, w = (int(side / scale + 1e-9) for side in clean.shape[:2])
    height, width = round(h * scale), round(w * scale)
    reference = np.ascontiguousarray(clean[:height, :width])
    reduced = Resample((height, width), (h, w))(to_engine(reference).double())
    degraded = from_engine(reduced, np.dtype(np.uint8))
    if quality is not None:
        unit = to_engine(degraded).add(1).div(2).expand(-1, 3, -1, -1)
        coded = camera.jpeg(unit, quality)[:, : degraded.shape[2]]
        degraded = from_engine(coded * 2 - 1, np.dtype(np.uint8))
    if not isinstance(sigma, str) and sigma:
        eps = noise.normal(degraded.shape).numpy()
        degraded = (degraded / 255 + sigma * eps).astype(np.float32)
    return reference, degraded, {**options, "scale": scale, "sigma": sigma}


def enlarge(small: np.ndarray, *, scale: float, **options: Any) -> np.ndarray:
    """Bicubic interpolation, rounded to 8 bits."""
    import numpy as np

    from restorekit.engine.operators import Resample

    h, w = small.shape[:2]
    large = Resample((h, w), (round(h * scale), round(w * scale)))(to_engine(small).double())
    return from_engine(large, np.dtype(np.uint8))
