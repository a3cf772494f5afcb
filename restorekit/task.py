"""What a task plugin hands over. Importing this costs neither torch nor NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import click

from .errors import RestorekitError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch
    from torch import Tensor

    from .engine.conditioning import Observation
    from .engine.noise import Noise
    from .images import Source
    from .window import Window


def no_prior(level: float) -> Tensor:
    """Stands for a prior where a picture was made without one."""
    raise RestorekitError("this picture came without a prior, and cannot be denoised")


@dataclass(frozen=True)
class Picture:
    """A photo as a task sees it.

    Attributes:
        pixels: (1, C, H, W) float32 on [-1, 1], C = 3 or 1; (1, 3, 0, 0) where a task takes no
            photo. Values may lie outside the range.
        alpha: (H, W) float32 on [0, 1], where the photo has it.
        noise: the source of everything random about this photo, by the last part of its name.
        name: its path within its folder, or its file's name.
        source: the file it was read from: its path, format and, for a JPEG, its coefficients
            (`source.coding()`, or `readable_coding()` that never fails). None for an array.
        denoised: level -> the pixels as one evaluation of a prior for noise of any kind sees them,
            told a root mean square, in engine units; for tasks that want noise out of the way.
        window: where in the photo these pixels lie, for a preview; None: they are all of it. What
            a task reads by itself, as a mask, is as large as the photo: `window.cut(mask)`.
        photo: gives all of the photo's pixels, where these are a part; see `whole`.
    """

    pixels: Tensor
    alpha: Tensor | None
    noise: Noise
    name: str = ""
    source: Source | None = None
    denoised: Callable[[float], Tensor] = field(default=no_prior, repr=False)
    window: Window | None = None
    photo: Callable[[], Tensor] | None = field(default=None, repr=False)

    @property
    def whole(self) -> Tensor:
        """(1, C, H, W), all of the photo as far as it is known, for what is measured of it as its
        noise is: a preview then shows what a restoration of the whole will."""
        return self.pixels if self.photo is None else self.photo()


class Guesser(Protocol):
    """Makes a guess by a network of its own, once the size of the result has been accepted."""

    def __call__(
        self, device: torch.device, precision: torch.dtype, tick: Callable[[float], None]
    ) -> Tensor:
        """A guess as `Problem` has it, float32 on the CPU. It counts as one network evaluation.

        Args:
            device, precision: of the prior, to compute it in.
            tick: to be called with the share that is done, where it takes long. What it raises
                is to pass: the work was cancelled.
        """
        ...


@dataclass(frozen=True)
class Problem:
    """What a task makes of a photo: the measurement, and what frames it.

    Attributes:
        observation: y, the operator A and the noise level, for pictures (1, C, H, W).
        size: (H, W) of the restored picture.
        channels: C, 1 or 3; None: the photo's, or y's where it has more. The operator works on so
            many, but that a prior of colour restores grey pictures as the mean of three channels.
        guess: where the diffusion starts, (1, C, H, W) on [-1, 1]; A^+ y by default, which is
            middle grey wherever nothing was measured. The prior takes for picture what it sees
            through the noise of `Recipe.start`: fill holes plausibly, or start high.
        guesser: makes the guess, where that takes a network of its own, in place of `guess`.
        level: noise-to-signal ratio at the start, which replaces the recipe's.
        guess_is_state: the guess holds noise of that level already, as a noisy photo does; or
            the observation's noise, where that is a map of levels or has a covariance.
        keep: (H, W) bool NumPy array; these pixels are the input's, to the bit.
        opaque: the restored picture has no transparent pixels any more.
        finish: a last correction of the restored picture, (1, C, H, W) -> the same.
        notes: what the user should know, a line each.
        extras: pictures (H, W) or (H, W, 3) of uint8 that are to be seen besides, by name.
    """

    observation: Observation
    size: tuple[int, int]
    guess: Tensor | None = None
    level: float | None = None
    guess_is_state: bool = False
    keep: np.ndarray | None = None
    opaque: bool = False
    finish: Callable[[Tensor], Tensor] | None = None
    notes: tuple[str, ...] = ()
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)
    channels: int | None = None
    guesser: Guesser | None = None

    @classmethod
    def solved(cls, x: Tensor, note: str) -> Problem:
        """That of a picture (1, C, H, W) which is the answer: no prior is asked."""
        from .engine.conditioning import Degradation, Observation
        from .engine.operators import Identity

        return cls(
            Observation(x, Degradation(Identity())),
            (x.shape[2], x.shape[3]),
            guess=x,
            level=0.0,
            guess_is_state=True,
            notes=(note,),
        )


@dataclass(frozen=True)
class Translated:
    """A problem in the space of a prior that has one of its own, such as an autoencoder's latents.

    Such a prior's denoiser has a method `translate(problem) -> Translated`, which raises
    RestorekitError, with the reason, for what its space cannot tell of.

    Attributes:
        problem: its observation, size and guess, with the channels that the denoiser takes.
        back: x_0 there -> the restored picture, of the size and channels of the original problem.
    """

    problem: Problem
    back: Callable[[Tensor], Tensor]


PRESETS = ("scan", "phone", "web")  # kinds of picture that people bring


@dataclass(frozen=True)
class Finding:
    """Something about a photo that a task can mend, or that is good to know.

    Attributes:
        what: in plain words, as "noise about 6 of 255, stronger in colour".
        figures: the same as numbers, names, and true or false.
        options: of the task that found it, as in Python, with which it would mend it; None where
            there is nothing to do.
        suits: the kinds of picture, of `PRESETS`, in which it is to be mended without being asked.
            Where nobody says the kind, what suits "phone" is done. Of what suits none `restore`
            tells, and leaves it to people.
    """

    what: str
    figures: Mapping[str, float | str] = field(default_factory=dict)
    options: Mapping[str, Any] | None = None
    suits: Collection[str] = PRESETS


MODES = ("fidelity", "perceptual")
GRIDS = ("uniform", "quadratic", "karras", "geometric")  # of noise levels; see `engine.sampler`


@dataclass(frozen=True)
class Recipe:
    """How a mode restores unless told otherwise. Names are looked up among the plugins.

    Attributes:
        method: how y enters.
        sampler: the step function.
        steps: steps of the sampler.
        grid: how the noise levels are spaced: uniform, quadratic, karras or geometric.
        start: noise-to-signal ratio of the first evaluation; None: the schedule's largest. About
            0.3 keeps most of the guess, and is for good ones: grey holes stay grey. From 5 on the
            prior sees nothing of it, and fills holes by itself, in more steps.
        end: that of the last evaluation.
        travel: (length, repeats) of time travel, or None.
        levels: the noise-to-signal ratios of the evaluations themselves, falling, in place of grid,
            start and end. Fewer steps take the first of them.
        unfolded: what of this is otherwise for a prior that was trained unfolded (see
            `Prior.unfolded`), besides steps and levels, which are those of its training, from
            this one's start down, unless this says them.
        prior: name of the prior that the mode works with; empty: the task's.
        refines: the mode whose result it starts from, by the same prior, in place of the task's
            guess; empty: none.
        low: what of this is otherwise for `--effort low`; by default half the steps.
    """

    method: str
    sampler: str
    steps: int
    grid: str = "karras"
    start: float | None = None
    end: float = 0.02
    travel: tuple[int, int] | None = None
    levels: tuple[float, ...] = ()
    unfolded: Mapping[str, Any] = field(default_factory=dict)
    prior: str = ""
    refines: str = ""
    low: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> set[tuple[str, str]]:
        """All that it may ask of the plugins, as (kind, name)."""
        kinds = self, self.with_less(), self.for_prior((1.0,))
        asked = {(kind, getattr(one, kind)) for one in kinds for kind in ("method", "sampler")}
        return asked | {("prior", one.prior) for one in kinds if one.prior}

    def with_less(self) -> Recipe:
        """For `--effort low`."""
        return replace(self, **(self.low or {"steps": (self.steps + 1) // 2}))

    def for_prior(self, unfolded: tuple[float, ...]) -> Recipe:
        """For a prior that was trained unfolded at these levels, if it was."""
        if not (unfolded and self.unfolded):
            return self
        highest = self.unfolded.get("start") or math.inf
        levels = tuple(level for level in unfolded if level <= highest) or unfolded[-1:]
        otherwise: dict[str, Any] = {"steps": len(levels), "levels": levels}
        return replace(self, **(otherwise | dict(self.unfolded)))


@dataclass(frozen=True)
class Trial:
    """How `restorekit benchmark` tries a task on clean photos.

    Attributes:
        degrade: (clean (H, W, C) uint8, noise, **options) -> (reference, degraded, options):
            the degraded array as `restore` takes it, or the bytes of a file where its coding
            matters; the reference cropped to fit; and the options to restore with.
        baseline: (degraded, **options) -> array, a classical method.
        options: further options of the benchmark alone.
        luma: score on BT.601 luma by default.
        luma_alone: a photo that is scored on its luma is tried without its colours too.
        border: option whose value, rounded up, is the border left out of the scores.
        region: (**options) -> (H, W) bool, the pixels that `hole_psnr` is measured on.
    """

    degrade: Callable[..., tuple[np.ndarray, np.ndarray | bytes, dict[str, Any]]]
    baseline: Callable[..., np.ndarray]
    options: Sequence[click.Option] = ()
    luma: bool = False
    luma_alone: bool = False
    border: str | None = None
    region: Callable[..., np.ndarray] | None = None


class Task:
    """Base of all tasks: subclass it, and hand an instance to the hook `restorekit_tasks`.

    Attributes:
        name: the command's name.
        summary: one line for `--help`.
        options: click options; their values reach `observe` by name.
        recipes: a `Recipe` for "fidelity" and one for "perceptual".
        takes_photo: False where pictures come from nothing.
        prior: name of the prior that the task works with unless told otherwise; see `prior_for`.
        trial: for `restorekit benchmark`, if the task can be tried on clean photos.
        stage: where it stands among the tasks that a photo is recommended, the smaller the
            earlier: 10 for what a file's coding did, 20 for damage, 30 for fading, 40 for noise,
            60 for the size.
    """

    name: str
    summary: str = ""
    options: Sequence[click.Option] = ()
    recipes: Mapping[str, Recipe] = {}
    takes_photo: bool = True
    prior: str = "photo"
    trial: Trial | None = None
    stage: int = 50

    def find(self, picture: Picture) -> Iterable[Finding]:
        """What it sees in a photo, for `restorekit diagnose`; quickly, and without a prior."""
        return ()

    def at_strength(self, options: Mapping[str, Any], strength: float) -> Mapping[str, Any]:
        """Options that do so much more or less: by the option "strength", if there is one."""
        for option in self.options:
            if option.name == "strength":
                most = getattr(option.type, "max", None)
                return {**options, "strength": strength if most is None else min(strength, most)}
        return options

    def resized(self, size: tuple[int, int], **options: Any) -> tuple[int, int]:
        """The (H, W) that a photo of a size comes out with: its own, by default.

        For what is told of the whole while a part alone is restored.
        """
        return size

    def reads(self, name: str, **options: Any) -> Sequence[Path]:
        """The files besides the photo that decide its restoration, so that a change is noticed.

        Args:
            name: the photo's path within its folder.
        """
        return ()

    def extras(self, **options: Any) -> Sequence[str]:
        """The names of what every photo's `Problem.extras` will hold; NAME-EXTRA.png has it."""
        return ()

    def prior_for(self, options: Mapping[str, Any]) -> str:
        """The name of the prior for these options, where they decide it."""
        return self.prior

    def marked(self, picture: Picture, **options: Any) -> np.ndarray | None:
        """(H, W) bool, where a picture is to be changed, for a preview to show such a place; None
        where that is everywhere."""
        return None

    def observe(self, picture: Picture, **options: Any) -> Problem:
        """Says what was measured. Raises RestorekitError for options that do not fit the photo."""
        raise TypeError(f"task {self.name!r} does not define observe()")
