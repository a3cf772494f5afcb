"""One photo: observed, solved, and put back among what else it was. Files are not known here."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import parameters, plugins, provenance
from .alpha import resized
from .answers import told, whose
from .choices import Choices
from .decided import Decided, decided
from .engine.denoiser import WrongAnswer
from .engine.noise import Noise
from .engine.sampler import Cancelled, Progress
from .engine.wrappers import out_of_memory
from .errors import RestorekitError
from .given import paths_of
from .loading import find_device, find_precision, find_prior, load_prior, of_pixels
from .priors import Prior
from .result import Result
from .shot import Shot
from .solver import Found, Solver, denoised
from .task import Picture, Problem, Task
from .units import from_engine, peak_of
from .watching import part_of

# The threads of OpenMP do not survive a fork, and a child that asks for them waits for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

AT_ONCE = {"cuda": 4}  # photos; a CPU is busy with one
CLEANER = "photo-real"  # the prior of `Picture.denoised`


class Restorer:
    """A task, its choices made and its prior loaded, ready for any number of photos.

    Args:
        options: the task's, resolved, where they decide which prior it works with.

    Attributes:
        how: what was decided.
        solver: what finds x_0 so.
        first: what restores the photo before, where the recipe refines another mode's result.
        at_once: how many threads should call it, so that their tiles share batches.

    Raises:
        RestorekitError: for an unknown name, a device that is not there, or broken weights.
    """

    def __init__(
        self, task: Task, choices: Choices, options: Mapping[str, Any] | None = None
    ) -> None:
        self.task, self.choices = task, choices
        self.how: Decided = decided(task, choices, options or {})
        self.device = find_device(choices.device)
        self.precision = find_precision(choices.precision, self.device)
        own = self.how.tuning["prior"]
        self.prior = load_prior(self.how.prior, self.device, self.precision, own)
        self.at_once = AT_ONCE.get(self.device.type, 1)
        self.solver = Solver(self.how, choices, self.prior, self.device, self.at_once)
        self.first: Restorer | None = None
        if self.how.before is not None:
            self.first = Restorer(task, self.how.before, options)

    def __call__(
        self,
        shot: Shot,
        *,
        sample_number: int = 0,
        progress: Progress | None = None,
        expected: Callable[[tuple[int, int]], None] | None = None,
        **options: Any,
    ) -> Result:
        """Restores one photo.

        Args:
            sample_number: 0, 1, ... for independent samples of the same photo.
            progress: called with (steps done, in all), where a large photo is evaluated in
                tiles with fractions of a step too; False cancels.
            expected: called with the (H, W) of the result before the work, to refuse it in time.
            options: the task's, resolved.

        Raises:
            RestorekitError: if the options do not fit the photo, or the prior answers with numbers
                that are not finite.
            Cancelled: if `progress` said so.
        """
        began = time.perf_counter()
        noise = self._noise(shot.name, sample_number)
        colourless = shot.colourless
        if colourless:  # as the grey photo that it is
            shot = shot.grey()
        if not self.task.takes_photo:
            shot = Shot(np.empty((0, 0, self.prior.channels), dtype=np.uint8), name=shot.name)
        pixels = shot.pixels
        before = 0  # evaluations

        def cleaned(level: float) -> Tensor:
            nonlocal before
            x_0, evaluations = self._cleaned(picture.pixels, level)
            before += evaluations
            return x_0

        picture = shot.picture(noise, cleaned)
        with plugins.named(Cancelled):
            try:
                problem = self._observed(picture, options)
                if expected is not None:
                    expected(problem.size)
                guessed = problem.guesser is not None
                if guessed:
                    self.solver.admit(problem)
                    problem = self._guessed(problem, picture, progress)
                    progress = part_of(progress, 1, 0)
                x_0, nfe = self._solve(problem, noise, progress)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                raise RestorekitError(
                    f"not enough memory on {self.device} for a photo of {pixels.shape[1]} x "
                    f"{pixels.shape[0]} pixels; use a smaller photo or another --device"
                ) from error
        if not x_0.isfinite().all():
            raise RestorekitError(f"{whose('task', self.task.name)} gives NaN or infinity here")
        restored = from_engine(x_0, pixels.dtype)
        if problem.keep is not None:
            restored = np.where(problem.keep[..., None], pixels, restored)
        if shot.alpha is not None and not problem.opaque and restored.shape == shot.pixels.shape:
            restored = np.where((shot.alpha == 0)[..., None], shot.pixels, restored)  # unseen
        if colourless and restored.shape[2] == 1:  # a task may know, or make up, the colour
            restored = np.repeat(restored, 3, axis=2)
        asked = before + nfe > 0
        return Result(
            restored,
            _resized(shot.alpha, problem),
            guessed + before + nfe,
            time.perf_counter() - began,
            problem.notes,
            self._origin(problem, asked),
            self._made(options, sample_number, asked),
            problem.extras,
        )

    def _noise(self, name: str, sample_number: int) -> Noise:
        """Of one sample of a photo. What has one answer has it under any file name."""
        own = PurePosixPath(name).name  # in whatever folder, and from wherever it is named
        perceptual = self.choices.mode == "perceptual"
        noise = Noise(self.choices.seed, own if perceptual else "")
        return noise.branch(f"sample {sample_number}")

    def _observed(self, picture: Picture, options: Mapping[str, Any]) -> Problem:
        """What the task makes of a picture, with its channels counted."""
        problem: Any = self.task.observe(picture, **options)
        with told(f"{whose('task', self.task.name)}: observe"):
            if not isinstance(problem, Problem):
                raise WrongAnswer(problem, "a Problem")
        return framed(problem, picture)

    def _guessed(self, problem: Problem, picture: Picture, progress: Progress | None) -> Problem:
        """A problem with the guess that it makes itself, which is the first of the steps."""
        assert problem.guesser is not None

        def tick(share: float) -> None:
            if progress is not None and progress(share, 1 + self._steps) is False:
                raise Cancelled

        tick(0.0)
        with torch.inference_mode():
            guess: Any = problem.guesser(self.device, getattr(torch, self.precision), tick)
        with told(f"{whose('task', self.task.name)}: its guesser"):
            check_guess(guess, problem)
        return framed(dataclasses.replace(problem, guess=guess, guesser=None), picture)

    @property
    def _steps(self) -> int:
        """Of the samplers, for one photo."""
        return self.solver.steps + (self.first._steps if self.first else 0)

    def _solve(self, problem: Problem, noise: Noise, progress: Progress | None) -> Found:
        """x_0 on the CPU, with the picture's own channels, and the evaluations it took."""
        if self.first is None:
            return self.solver(problem, noise, progress)
        unfinished = dataclasses.replace(problem, finish=None)
        guess, before = self.first._solve(
            unfinished, noise, part_of(progress, 0, self.solver.steps)
        )
        refined = dataclasses.replace(problem, guess=guess)
        x_0, nfe = self.solver(refined, noise, part_of(progress, self.first._steps, 0))
        return x_0, before + nfe

    def _cleaned(self, y: Tensor, level: float) -> Found:
        """What `Picture.denoised` says: by its own prior, or by the one that was asked for."""
        prior, name = self.prior, self.how.prior_name
        if self.cleaner is not None:
            name = CLEANER
            prior = load_prior(self.cleaner, self.device, self.precision)
        of_pixels(prior, name)
        return denoised(y, level, prior, name, self.device, self.choices.tile)

    def _origin(self, problem: Problem, asked: bool) -> str:
        """In IPTC's terms: all invented, some of it, or nothing.

        Args:
            asked: whether the prior was.
        """
        if not self.task.takes_photo:
            return provenance.GENERATED
        unknown = (problem.channels or 0) - problem.observation.y.shape[1]  # colours
        perceptual = asked and self.choices.mode == "perceptual"
        invented = problem.keep is not None or unknown > 0 or perceptual
        return provenance.COMPOSITE if invented else provenance.ENHANCED

    def _made(self, options: Mapping[str, Any], sample_number: int, asked: bool) -> str:
        """Task, options and, if it was asked, the prior in words, without any path."""
        paths = paths_of(self.task, options)
        said = [
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in sorted(options.items())
            if name not in paths and isinstance(value, str | int | float) and value is not False
        ]
        if not asked:
            return " ".join([self.task.name, *said])
        mode, recipe, name = self.choices.mode, self.how.recipe, self.how.prior_name
        if mode == "perceptual":
            said += [f"seed={self.choices.seed}", f"sample={sample_number + 1}"]
        how = f"{mode}, {recipe.method}, {recipe.sampler}, {recipe.steps} steps"
        if recipe.travel:
            how += ", travel={},{}".format(*recipe.travel)
        how = ", ".join([how, *(f"{n}={v}" for n, v in parameters.flat(self.how.tuning).items())])
        if len(Path(name).parts) > 1:
            name = Path(name).name
        prior = f"prior {name} (sha256 {self.weights[:16]})"
        return "; ".join([" ".join([self.task.name, *said]), how, prior])

    @functools.cached_property
    def cleaner(self) -> Prior | None:
        """What `Picture.denoised` asks, unless a prior was asked for, which is asked then."""
        if self.choices.prior is not None or not self.task.takes_photo:
            return None
        return find_prior(CLEANER)

    @property
    def read(self) -> list[Path]:
        """The files of the priors that it may ask."""
        own = [*self.how.prior.files, *(self.cleaner.files if self.cleaner else ())]
        return own + (self.first.read if self.first else [])

    @functools.cached_property
    def weights(self) -> str:
        """SHA-256 of the prior's files."""
        return self.how.prior.digest


def check_guess(guess: object, problem: Problem) -> None:
    """Raises WrongAnswer where a guesser gave anything else than a guess."""
    channels = problem.channels
    due = f"a finite float32 picture of (1, 1 or {channels}, H, W) on the CPU"
    if not (isinstance(guess, Tensor) and guess.ndim == 4 and guess.shape[1] in (1, channels)):
        raise WrongAnswer(guess, due)
    fits = len(guess) == 1 and guess.dtype == torch.float32 and guess.device.type == "cpu"
    if not (fits and guess.isfinite().all()):
        raise WrongAnswer(guess, due)


def framed(problem: Problem, picture: Picture) -> Problem:
    """The problem with its channels counted, and its guess in so many."""
    channels, guess = problem.channels, problem.guess
    if channels is None:
        channels = max(picture.pixels.shape[1], problem.observation.y.shape[1])
    if guess is not None and guess.shape[1] == 1:
        guess = guess.expand(-1, channels, -1, -1)
    return dataclasses.replace(problem, channels=channels, guess=guess)


def _resized(alpha: np.ndarray | None, problem: Problem) -> np.ndarray | None:
    """The alpha channel for the restored picture."""
    if alpha is None:
        return None
    if problem.opaque:
        return np.full(problem.size, peak_of(alpha.dtype), dtype=alpha.dtype)
    return resized(alpha, problem.size)
