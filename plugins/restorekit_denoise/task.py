"""The task `denoise`: a noisy photo is a diffusion state, at the time its noise level says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from restorekit.options import HOW_STRONG, Number, Option, noise_option, strength_option
from restorekit.task import Finding, Picture, Problem, Recipe, Task, Trial
from restorekit.units import sigma_to_engine

from . import trial

if TYPE_CHECKING:
    from torch import Tensor

    from restorekit.noise_level import Estimate

LEAST = 1 / 255  # a step of 8 bits: less noise than that is left alone
SEEN = 4 / 255  # less noise than that few people see
OF_CODING = 1.2  # times what quantisation took away: less is its, and not a camera's


class Denoise(Task):
    """One evaluation at the matching time is E[x_0 | y], hence the best PSNR.

    Perceptual mode samples on from there: y is x_t, so that p(x_0 | y) is what the ancestral
    sampler draws, and no conditioning is needed.
    """

    name = "denoise"
    summary = "Remove noise."
    options = (
        strength_option(
            "Multiplies the level: less than 1 leaves some of the noise, more takes some of the "
            "finest texture too.",
            most=10,
        ),
        Option(
            ["--keep-grain"],
            type=Number(0, 1),
            default=0.0,
            show_default=True,
            metavar="SHARE",
            heading=HOW_STRONG,
            help="How much of what was removed is given back.",
        ),
        noise_option(
            "auto finds out, whatever its kind; a number on 0..255 "
            "is the standard deviation of white noise, for which the default prior is photo.",
        ),
    )
    recipes = {
        "fidelity": Recipe("none", "ddim", steps=1, low={"prior": "photo-fast"}),
        "perceptual": Recipe("none", "ddpm", steps=16, grid="karras", end=0.005, low={"steps": 4}),
    }

    prior = "photo-real"

    def prior_for(self, options: Mapping[str, Any]) -> str:
        """Who knows the level of their noise has white noise, as in the literature."""
        return "photo-real" if options.get("sigma", "auto") == "auto" else "photo"

    stage = 40

    def find(self, picture: Picture) -> Iterable[Finding]:
        """Noise that can be seen and is not only what JPEG left, which other tasks mend better."""
        from restorekit.noise_level import estimate

        found = estimate(picture.pixels)
        coding = picture.source.readable_coding() if picture.source else None
        if found.known < SEEN or (coding and found.level < OF_CODING * coding.error):
            return
        figures = {
            "level": 255 * found.level,
            "grey": 255 * found.grey,
            "colour": 255 * found.colour,
        }
        yield Finding(noise_of(found), figures, {"sigma": "auto"})

    def observe(self, picture: Picture, **options: Any) -> Problem:
        import torch

        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Identity

        y, share = picture.pixels, options["keep_grain"]
        notes: tuple[str, ...] = ()
        sigma, strength = options["sigma"], options["strength"] if share < 1 else 0.0
        state = y
        if sigma == "auto":
            from restorekit.noise_level import estimate

            found = estimate(picture.whole)
            notes = (described(found, strength, share),)
            sigma = found.known if found.known >= LEAST else 0.0
            # A prior that takes its level for an upper bound removes no more when it is told more:
            # what exceeds 1 is for what it has left.
            if sigma and strength > 1:
                state, strength = picture.denoised(sigma_to_engine(sigma)), strength - 1
            # Noise found in a grey photo is without colour, and so known to the prior for real
            # noise; told noise is known to the one for white noise, each channel with its own.
            if sigma * strength:
                state = state.expand(-1, 3, -1, -1)
        level = sigma_to_engine(strength * sigma)

        def finish(x: Tensor) -> Tensor:
            return torch.lerp(x.mean(1, keepdim=True) if y.shape[1] == 1 else x, y, share)

        return Problem(
            Observation(state, Degradation(Identity(), level)),
            size=(y.shape[2], y.shape[3]),
            guess=state,
            level=level,
            guess_is_state=True,
            finish=finish,
            notes=notes,
        )

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        return Trial(trial.degrade, trial.non_local_means, options=trial.OPTIONS)


def described(found: Estimate, strength: float, share: float) -> str:
    """What was found and done, in plain words; `share` of it is given back."""
    level = 255 * found.level
    if found.doubt:
        return f"{found.doubt}: left as it is; --sigma says how much noise there is"
    if found.level < LEAST:
        return f"hardly any noise found (about {level:.1f} of 255): left as it is"
    what = noise_of(found)
    if not strength:
        return f"{what}: left as it is"
    done = "removed" if strength == 1 else f"removed at {strength:g} times that"
    return f"{what}: {done}" + (f", {share:.0%} of it given back" if share else "")


def noise_of(found: Estimate) -> str:
    """Its level, and where there is more of it."""
    where = []
    if found.colour > 1.5 * found.grey:
        where.append("stronger in colour")
    if found.darkest > 1.5 * found.brightest:
        where.append("stronger in the shadows")
    elif found.brightest > 1.5 * found.darkest:
        where.append("stronger in the lights")
    return ", ".join([f"noise about {255 * found.level:.1f} of 255", *where])
