"""The task `dejpeg`: the photo lies in the cells of the file's coefficients."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from restorekit.errors import RestorekitError
from restorekit.task import Finding, Guesser, Picture, Problem, Recipe, Task, Trial
from restorekit.units import sigma_to_engine

from . import trial
from .coded import (
    check_seen,
    described,
    luma_of,
    measured,
    quality_of,
    saved_with_others,
    upright,
    without_empty_chroma,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from restorekit.dequantisation import Tables
    from restorekit.engine.quantised import Quantised
    from restorekit.images import Coding
    from restorekit.window import Window

TOLD = 1.0  # the level that the prior is told, as a multiple of the expected error
LEFT = 0.6  # the same, of what the guess still errs by
SEEN = 3 / 255  # of what quantisation took away: less few people see
FINE = 90  # a quality that nobody complains of
NOISY = 1.2  # times that: more is a camera's noise, of which the file's cells know nothing
KNOWN = 1.8 / 255  # expected error of finer files than training saw: the prior alone knows more
LEAST = 0.6 / 255  # the same of files that took away less than pixels' own rounding does
SAVED_BEFORE = ", saved before with other blocks"
ROUNDS = 8  # of projections onto the range of pixels and the cells


class Dejpeg(Task):
    """A network that is told the tables guesses, and the prior looks once at what it says.

    Drawn into the cells: compressed again, the result is the file it was.
    """

    name = "dejpeg"
    summary = "Remove the artefacts of JPEG."
    prior = "photo-real"
    options = (
        click.Option(
            ["--saved-with"],
            type=click.IntRange(1, 100),
            metavar="QUALITY",
            help="For a photo that once was a JPEG of this quality, and is a PNG, say, or cropped "
            "now. Of that, only the luma is known.",
        ),
    )
    recipes = {
        "fidelity": Recipe("quantised", "ddim", steps=1, low={"prior": "photo-fast"}),
        "perceptual": Recipe(
            "quantised", "ddpm", steps=16, grid="karras", end=0.005, low={"steps": 4}
        ),
    }

    stage = 10

    def find(self, picture: Picture) -> Iterable[Finding]:
        """Artefacts that can be seen, unless there is more noise, which they are part of."""
        from restorekit.noise_level import estimate

        coding = picture.source.readable_coding() if picture.source else None
        if coding is None:
            if picture.source and picture.source.is_jpeg:
                yield Finding("a JPEG whose blocks cannot be looked at")
            return
        quality, twice = quality_of(coding.components[0].q), saved_with_others(coding)
        figures: dict[str, float | str] = {
            "quality": quality,
            "error": 255 * coding.error,
            "saved_twice": twice,
        }
        noisy = estimate(picture.pixels).known > NOISY * coding.error
        pays = coding.error >= SEEN and quality < FINE and not noisy
        what = described(coding) + SAVED_BEFORE * twice
        yield Finding(what, figures, {} if pays else None)

    def observe(self, picture: Picture, **options: Any) -> Problem:
        saved_with = options["saved_with"]
        coding = picture.source.coding() if picture.source else None
        if saved_with is not None:
            return from_pixels(picture, saved_with)
        if coding is None:
            raise RestorekitError(
                "is no JPEG file, or a task before changed it: give the file itself, in a chain "
                "to dejpeg first; or, for what was one, --saved-with"
            )
        assert picture.source is not None
        if coding.error < LEAST:
            note = f"{described(coding)}: as good as lossless, left as it is"
            return Problem.solved(picture.pixels, note)
        here = None if picture.window is None else picture.source.stored(picture.window)
        return from_file(coding, picture.source.orientation, here, picture.pixels)

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        return Trial(trial.degrade, trial.decoded, options=trial.OPTIONS, luma_alone=True)


def from_file(
    coding: Coding, orientation: int, here: Window | None = None, seen: Tensor | None = None
) -> Problem:
    """What a JPEG file says of its photo, in the raster that it is stored in.

    Args:
        here: the part that is wanted, in that raster; None is all of it.
        seen: that part as readers have it, to compare with.

    Raises:
        RestorekitError: if that is another picture.
    """
    import torch

    from restorekit.engine.quantised import Quantised

    note, twice = described(coding), saved_with_others(coding)
    channels = len(coding.components)
    coding = without_empty_chroma(coding)
    level = coding.error
    guesser: Guesser | None = None
    size, corner = coding.size, (0, 0)
    if here is not None:
        blocks = here.grown(0, coding.mcu)
        size, corner = (here.height, here.width), (here.top - blocks.top, here.left - blocks.left)
        coding = coding.part(blocks)
    operator, y = measured(coding)
    if twice:
        note += f"{SAVED_BEFORE}: treated as noise"
        operator = Quantised([])
    else:
        note += f": its blocks and ringing, about {255 * level:.1f} of 255, removed"
        if level >= KNOWN:
            parts = coding.components
            tables = [(torch.from_numpy(part.q.astype(int)), part.shrink) for part in parts]
            guesser = functools.partial(guessed, y, tables)

    def framed(x: Tensor) -> Tensor:
        (top, left), (height, width) = corner, size
        x = x[..., top : top + height, left : left + width]
        if len(coding.components) == 1:
            x = x.mean(1, keepdim=True).expand(-1, channels, -1, -1)
        return upright(x, orientation)

    if seen is not None:
        check_seen(framed(y), seen)

    def finish(x: Tensor) -> Tensor:
        return framed(within(x, operator))

    shown = size[::-1] if orientation >= 5 else size
    return problem(operator, y, (shown[0], shown[1]), level, finish, note, guesser)


def guessed(
    y: Tensor,
    tables: Tables,
    device: torch.device,
    precision: torch.dtype,
    tick: Callable[[float], None],
) -> Tensor:
    """See `Guesser`. A file without colour stays without."""
    from restorekit.dequantisation import dequantised

    x = dequantised(y, tables, device, precision, tick)
    return x.mean(1, keepdim=True).expand(-1, 3, -1, -1) if len(tables) == 1 else x


def from_pixels(picture: Picture, quality: int) -> Problem:
    """What pixels that once were a JPEG's say: their luma's coefficients, on the grid it had."""
    import torch

    from restorekit.engine.quantised import BLOCK, Plane, Quantised

    from .grid import offset_of, standard_table

    y = picture.pixels.expand(-1, 3, -1, -1).contiguous()
    height, width = y.shape[2:]
    whole, part = picture.whole, picture.window
    offset = offset_of(luma_of(whole))
    if offset is not None and part is not None and picture.photo is not None:
        offset = (offset[0] - part.top) % BLOCK, (offset[1] - part.left) % BLOCK
    table = torch.from_numpy(standard_table(quality))
    note = f"taken for a JPEG of quality {quality}"
    top, left = offset or (0, 0)
    rows, columns = (height - top) // BLOCK, (width - left) // BLOCK
    if offset is None or not rows or not columns:
        note += "; no blocks can be seen: treated as noise"
        operator = Quantised([])
    else:
        blank = Plane(torch.zeros(rows, columns, BLOCK, BLOCK), table)
        seen = Quantised([blank], offset).analyse(y)[0][0]
        operator = Quantised([Plane((seen / table).round(), table)], offset)
        note += f", its blocks beginning at ({offset[0]}, {offset[1]})"
    from restorekit.noise_level import estimate

    level = estimate(whole).level

    def finish(x: Tensor) -> Tensor:
        x = within(x, operator)
        return x.mean(1, keepdim=True) if picture.pixels.shape[1] == 1 else x

    return problem(operator, y, (height, width), level, finish, note)


def problem(
    operator: Quantised,
    y: Tensor,
    size: tuple[int, int],
    level: float,
    finish: Callable[[Tensor], Tensor],
    note: str,
    guesser: Guesser | None = None,
) -> Problem:
    """A decoded picture, or what a guesser makes of it, as a state of the diffusion; its cells."""
    from restorekit.engine.conditioning import Degradation, Observation

    return Problem(
        Observation(y, Degradation(operator)),
        size,
        guess=None if guesser else y,
        guesser=guesser,
        level=sigma_to_engine((LEFT if guesser else TOLD) * level),
        guess_is_state=True,
        finish=finish,
        notes=(note,),
    )


def within(x: Tensor, operator: Quantised) -> Tensor:
    """A picture in the cells near x and, as far as that goes, within the range of pixels.

    Projections onto two convex sets in turn.
    """
    for _ in range(ROUNDS):
        x = operator.project(x.clamp(-1, 1), x, 0.0)
        if (x.abs() <= 1).all():
            break
    return x
