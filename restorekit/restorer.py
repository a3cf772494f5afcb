"""The five lines: observe, condition, sample, finish. Files and folders are not known here."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from . import memory, parameters, plugins, provenance
from .alpha import resized, without_hidden
from .choices import PRECISIONS, Choices
from .engine.colour import EachChannel, coloured_state, in_colour
from .engine.conditioning import needed
from .engine.covariance import Covariance, whitened
from .engine.declared import of_method, of_step
from .engine.denoiser import Denoiser
from .engine.levels import Blended
from .engine.noise import Noise
from .engine.regions import around
from .engine.sampler import GRIDS, Cancelled, Progress, sample, times_for, travelling
from .engine.symmetry import MIRROR, SQUARE, Ensemble, Motion, Turning
from .engine.tiling import Tiled, Windowed
from .engine.traits import Known, Traits
from .engine.wrappers import Guarded, Shared, Topped, out_of_memory
from .errors import RestorekitError
from .loading import find_device, find_prior, load_prior
from .options import MOST_STEPS
from .task import MODES, Picture, Problem, Recipe, Result, Task, paths_of
from .units import from_engine, peak_of, to_engine
from .watching import Counted, Watched

if TYPE_CHECKING:
    from .engine.schedule import Schedule
    from .images import Source
    from .window import Window

log = logging.getLogger(__name__)

# The threads of OpenMP do not survive a fork, and a child that asks for them waits for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

AT_ONCE = {"cuda": 4}  # photos; a CPU is busy with one
CLEANER = "photo-real"  # the prior of `Picture.denoised`
LARGEST = 1e4  # of floating-point pixels, whose white is 1


class Restorer:
    """A task, its choices made and its prior loaded, ready for any number of photos.

    Args:
        options: the task's, resolved, where they decide which prior it works with.

    Attributes:
        at_once: how many threads should call it, so that their tiles share batches.

    Raises:
        RestorekitError: for an unknown name, a device that is not there, or broken weights.
    """

    def __init__(
        self, task: Task, choices: Choices, options: Mapping[str, Any] | None = None
    ) -> None:
        if choices.mode not in MODES:
            raise RestorekitError(f"mode {choices.mode!r} is unknown; use {' or '.join(MODES)}")
        if choices.precision not in PRECISIONS:
            raise RestorekitError(f"precision must be one of {', '.join(PRECISIONS)}")
        if choices.steps is not None and not 1 <= choices.steps <= MOST_STEPS:
            raise RestorekitError(f"steps is {choices.steps}; give 1 to {MOST_STEPS}")
        if choices.travel is not None and not all(1 <= n <= MOST_STEPS for n in choices.travel):
            raise RestorekitError(f"travel is {choices.travel}; give (length, repeats) from 1 on")
        if choices.mode not in task.recipes:
            raise RestorekitError(f"task {task.name!r} has no mode {choices.mode!r}")
        chosen = {
            name: value
            for name in ("method", "sampler", "steps", "travel")
            if (value := getattr(choices, name)) is not None
        }
        self.task = task
        self.mode = choices.mode
        self.seed = choices.seed
        self.ensemble = choices.ensemble
        self.tile = choices.tile
        self.recipe: Recipe = dataclasses.replace(task.recipes[choices.mode], **chosen)
        found = plugins.registry()
        method = found.find("method", self.recipe.method)
        step = found.find("sampler", self.recipe.sampler)
        given = task.prior_for(options or {}) if choices.prior is None else choices.prior
        self.prior_name = given if isinstance(given, str) else given.name
        self.prior_found = find_prior(given)
        self.tuning = parameters.dealt(
            choices.tuning,
            {
                "method": (self.recipe.method, method),
                "sampler": (self.recipe.sampler, step),
                "prior": (self.prior_name, self.prior_found.load),
            },
        )
        self.method = parameters.bound(method, self.tuning["method"])
        self.step = parameters.bound(step, self.tuning["sampler"])
        self.device = find_device(choices.device)
        self.precision = choices.precision
        self.prior = load_prior(self.prior_found, self.device, self.precision, self.tuning["prior"])
        self.cleans = choices.prior is not None  # itself, as it was asked for by name
        self.motions = SQUARE if self.prior.turned else MIRROR
        self.at_once = AT_ONCE.get(self.device.type, 1)
        self.evaluated = _asked(self.prior)
        if self.at_once > 1:
            self.evaluated = Shared(self.evaluated)

    def __call__(
        self,
        pixels: np.ndarray | None,
        alpha: np.ndarray | None = None,
        *,
        name: str = "",
        source: Source | None = None,
        sample_number: int = 0,
        progress: Progress | None = None,
        expected: Callable[[tuple[int, int]], None] | None = None,
        window: Window | None = None,
        whole: np.ndarray | None = None,
        **options: Any,
    ) -> Result:
        """Restores one photo.

        Args:
            pixels: (H, W, 3) or (H, W, 1); uint8, uint16, or float on [0, 1] (which it may
                exceed, as noisy pixels do). None for a task that takes no photo.
            alpha: (H, W) of the same type.
            name: the photo's. With the seed it decides the noise in perceptual mode, by its last
                part alone, so that it makes no difference which folder the run was given.
            source: the file that the photo was read from.
            sample_number: 0, 1, ... for independent samples of the same photo.
            progress: called with (steps done, in all), where a large photo is evaluated in
                tiles with fractions of a step too; False cancels.
            expected: called with the (H, W) of the result before the work, to refuse it in time.
            window: where in the photo the pixels lie, if they are a part of it.
            whole: all of its pixels then, as they would be given, if they are known.
            options: the task's, resolved.

        Raises:
            RestorekitError: if the options do not fit the photo, its pixels are no plausible
                numbers, or the prior answers with numbers that are not finite.
            Cancelled: if `progress` said so.
        """
        began = time.perf_counter()
        # What has one answer has it under any file name.
        own = PurePosixPath(name).name  # in whatever folder, and from wherever it is named
        noise = Noise(self.seed, own if self.mode == "perceptual" else "")
        noise = noise.branch(f"sample {sample_number}")
        if pixels is None:
            pixels = np.empty((0, 0, self.prior.channels), dtype=np.uint8)
        for samples in (pixels, alpha):
            check_plausible(samples)
        colourless = _colourless(pixels if whole is None else whole)
        if colourless:  # as the grey photo that it is
            pixels, whole = pixels[..., :1], None if whole is None else whole[..., :1]
        seen = pixels if alpha is None else without_hidden(pixels, alpha)
        before = 0  # evaluations

        def denoised(level: float) -> Tensor:
            nonlocal before
            x_0, evaluations = self._denoised(picture.pixels, level)
            before += evaluations
            return x_0

        photo = None if whole is None else functools.partial(to_engine, whole)
        picture = Picture(
            to_engine(seen), _unit(alpha), noise, name, source, denoised, window, photo
        )
        with plugins.named(Cancelled):
            try:
                problem = framed(self.task.observe(picture, **options), picture)
                if expected is not None:
                    expected(problem.size)
                x_0, nfe = self._solve(problem, noise, progress)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                raise RestorekitError(
                    f"not enough memory on {self.device} for a photo of {pixels.shape[1]} x "
                    f"{pixels.shape[0]} pixels; use a smaller photo or another --device"
                ) from error
        if not x_0.isfinite().all():
            raise RestorekitError(
                f"the prior {self.prior_name!r} answers with NaN or infinity here; use another "
                "prior, or --precision float32"
            )
        restored = from_engine(x_0, pixels.dtype)
        if problem.keep is not None:
            restored = np.where(problem.keep[..., None], pixels, restored)
        if colourless and restored.shape[2] == 1:  # a task may know, or make up, the colour
            restored = np.repeat(restored, 3, axis=2)
        alpha = _resized(alpha, problem)
        seconds = time.perf_counter() - began
        return Result(
            restored,
            alpha,
            before + nfe,
            seconds,
            problem.notes,
            self._origin(problem),
            self._made(options, sample_number, asked=before + nfe > 0),
            problem.extras,
        )

    def _origin(self, problem: Problem) -> str:
        """In IPTC's terms: all invented, some of it, or nothing."""
        if not self.task.takes_photo:
            return provenance.GENERATED
        colours = (problem.channels or 0) > problem.observation.y.shape[
            1
        ]  # of which nothing is known
        invented = problem.keep is not None or colours or self.mode == "perceptual"
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
        if self.mode == "perceptual":
            said += [f"seed={self.seed}", f"sample={sample_number + 1}"]
        how = f"{self.mode}, {self.recipe.method}, {self.recipe.sampler}, {self.recipe.steps} steps"
        how = ", ".join([how, *(f"{n}={v}" for n, v in parameters.flat(self.tuning).items())])
        prior = f"prior {self.prior_name} (sha256 {self.weights[:16]})"
        if len(Path(self.prior_name).parts) > 1:
            prior = f"prior {Path(self.prior_name).name} (sha256 {self.weights[:16]})"
        return "; ".join([" ".join([self.task.name, *said]), how, prior])

    @functools.cached_property
    def weights(self) -> str:
        """SHA-256 of the prior's files."""
        return self.prior_found.digest

    @torch.inference_mode()
    def _denoised(self, y: Tensor, level: float) -> tuple[Tensor, int]:
        """E[x_0 | y] of a picture (1, C, H, W) with noise of a level, on the CPU; evaluations."""
        prior = self.prior
        if not self.cleans:
            prior = load_prior(find_prior(CLEANER), self.device, self.precision)
        t = prior.schedule.time_for(level)
        alpha, _ = prior.schedule(t)
        channels = max(prior.channels, y.shape[1])
        x_t = (float(alpha) * y.expand(-1, channels, -1, -1)).to(self.device)
        asked = _asked(prior)
        if prior.halo is not None:
            tile = memory.tile_for(prior, self.device, (y.shape[2], y.shape[3]))
            asked = Tiled(asked, tile, prior.halo, prior.multiple)
        counted = Counted(asked)
        x_0 = _sound(counted, prior)(x_t, t).x_0.cpu()
        return x_0.mean(1, keepdim=True) if y.shape[1] == 1 else x_0, counted.evaluations

    @torch.inference_mode()
    def _solve(
        self, problem: Problem, noise: Noise, progress: Progress | None
    ) -> tuple[Tensor, int]:
        """x_0 on the CPU, with the picture's own channels, and the evaluations it took.

        Where the rest of the picture is known anyhow, only what lies around the unknown is looked
        at, with the same noise, and hence with the same result.
        """
        where = needed(self.method, problem.observation)
        halo, y = self.prior.halo, problem.observation.y
        if where is None or halo is None or problem.guess is None or problem.finish is not None:
            return self._sampled(problem, noise, progress)
        box = around(where, halo, self.prior.multiple)
        shape = len(y), max(self.prior.channels, y.shape[1]), *y.shape[2:]
        part = dataclasses.replace(
            problem,
            observation=problem.observation.part(box.slices),
            size=box.shape,
            guess=problem.guess[box.slices],
        )
        x_0 = problem.guess.clone()
        x_0[box.slices], nfe = self._sampled(part, noise.part(shape, box.slices), progress)
        return x_0, nfe

    def _sampled(
        self, problem: Problem, noise: Noise, progress: Progress | None
    ) -> tuple[Tensor, int]:
        """x_0 as the sampler finds it, and the evaluations it took."""
        schedule, y = self.prior.schedule, problem.observation.y
        channels, guess = problem.channels, problem.guess
        if guess is None:
            guess = problem.observation.operator.pinv(y)
        level: float | Tensor | None
        level = self.recipe.start if problem.level is None else problem.level
        is_state, sigma_y = problem.guess_is_state, problem.observation.sigma
        if is_state and not of_method(self.method).keeps_state:
            # The state is y itself, which the method would count a second time.
            if self.recipe.steps < 2:
                raise RestorekitError(
                    f"method {self.recipe.method!r} needs more than one step here; use --steps 16"
                )
            is_state, level = False, None
        if is_state and of_step(self.step).noiseless:
            raise RestorekitError(
                f"sampler {self.recipe.sampler!r} adds the noise itself, and this photo has it "
                "already; use --sampler ddim, or --method diffpir --steps 16"
            )
        if is_state and isinstance(sigma_y, Tensor) and self.recipe.steps == 1:
            level = sigma_y  # one answer is blended from several; further steps need white noise
        elif is_state and isinstance(sigma_y, Tensor | Covariance):
            guess, level = whitened(guess, sigma_y, noise.branch("whitening"))
        if channels == 1 and self.prior.channels == 3:
            observation = in_colour(problem.observation)
            guess = guess.expand(-1, 3, -1, -1)
            if is_state and level is not None:
                chroma = noise.branch("chroma") if self.mode == "perceptual" else Noise(0, "chroma")
                guess, level = coloured_state(guess, level, chroma), 3**0.5 * level
        elif self.prior.channels in (1, channels):
            observation = problem.observation
        else:
            raise RestorekitError(f"the prior has {self.prior.channels} channels, not {channels}")
        largest = float(level.max()) if isinstance(level, Tensor) else level
        times = self._times(schedule, largest)
        if times[0] <= 0:  # a photo without noise is its own best estimate
            return guess.mean(1, keepdim=True) if channels == 1 else guess, 0

        alpha, sigma = (float(v) for v in schedule(times[0]))
        x_t = alpha * guess
        if not is_state and not of_step(self.step).noiseless:
            x_t = x_t + sigma * noise.normal(guess.shape)
        watched = None if progress is None else Watched(progress)
        counted = Counted(self._evaluated((x_t.shape[2], x_t.shape[3]), watched))
        prior = self._turned(counted, needed(self.method, observation))
        if is_state and self.recipe.steps == 1:
            prior = _sound(prior, self.prior)
        if isinstance(level, Tensor):
            prior = Blended(prior, (level / level.max()).to(self.device))
        try:
            posterior = self.method(prior, observation.to(self.device))
        except ValueError as error:
            raise RestorekitError(str(error)) from error
        x_0 = sample(
            posterior, x_t.to(self.device), times, step=self.step, noise=noise, progress=watched
        ).cpu()
        x_0 = x_0.mean(1, keepdim=True) if channels == 1 else x_0
        return problem.finish(x_0) if problem.finish else x_0, counted.evaluations

    def _turned(self, prior: Counted, needed: Tensor | None) -> Denoiser:
        """The prior, asked where that is needed, and about turned pictures where that helps."""

        def moved(motion: Motion) -> Denoiser:
            return prior if needed is None else prior.where(motion(needed))

        if self.ensemble:
            return Ensemble(prior, self.motions, moved)
        if of_step(self.step).turning:
            return Turning(prior, self.motions, moved)
        return moved(Motion())

    def _times(self, schedule: Schedule, level: float | None) -> Tensor:
        recipe = self.recipe
        times = times_for(
            schedule,
            recipe.steps,
            grid=GRIDS[recipe.grid],
            start=1.0 if level is None else float(schedule.time_for(level)),
            end=float(schedule.time_for(recipe.end)),
        )
        return travelling(times, *recipe.travel) if recipe.travel else times

    def _evaluated(self, size: tuple[int, int], watched: Watched | None) -> Denoiser:
        """The prior; in tiles where it is local and the picture large, else in windows."""
        halo, multiple = self.prior.halo, self.prior.multiple
        if self.tile is not None:
            tile = max(self.tile // multiple, 1) * multiple
        elif halo is None:
            tile = self.prior.window
        else:
            tile = memory.tile_for(self.prior, self.device, size, self.at_once)
        alone = not of_method(self.method).conditions and self.recipe.steps == 1
        states = memory.STATES_ALONE if alone else memory.STATES_CONDITIONED
        memory.check(size, self.prior, tile, states, self.device)
        if halo is not None:
            tick = watched.within if watched else None
            return Tiled(self.evaluated, tile, halo, multiple, tick=tick)
        if max(size) <= tile:
            return self.evaluated
        _tell_of_windows(self.prior_name, tile)
        return Windowed(self.evaluated, tile, tile // 4)


@functools.cache  # once
def _tell_of_windows(prior: str, window: int) -> None:
    log.warning(
        "the prior %r sees a picture as a whole, and %d pixels of it at most; "
        "larger ones are put together from overlapping windows",
        prior,
        window,
    )


def _asked(prior: Known) -> Denoiser:
    """A prior as it is asked: safe from overflow, and channel by channel if it knows only grey."""
    asked = prior if prior.precision == torch.float32 else Guarded(prior)
    return EachChannel(asked) if prior.channels == 1 else asked


def _sound(asked: Denoiser, prior: Traits) -> Denoiser:
    """A prior for a photo's own noise, whose level is seldom known: told an upper bound of it."""
    return asked if prior.bound else Topped(asked)


def framed(problem: Problem, picture: Picture) -> Problem:
    """The problem with its channels counted, and its guess in so many."""
    channels, guess = problem.channels, problem.guess
    if channels is None:
        channels = max(picture.pixels.shape[1], problem.observation.y.shape[1])
    if guess is not None and guess.shape[1] == 1:
        guess = guess.expand(-1, channels, -1, -1)
    return dataclasses.replace(problem, channels=channels, guess=guess)


def check_plausible(samples: np.ndarray | None) -> None:
    """Raises RestorekitError for floats that are not finite, or far from [0, 1]."""
    if samples is None or samples.dtype.kind != "f" or not samples.size:
        return
    least, most = samples.min(), samples.max()
    if not (least >= -LARGEST and most <= LARGEST):  # NaN is neither
        raise RestorekitError(
            f"its values reach from {least:g} to {most:g}; floats must lie on [0, 1], or near it"
        )


def _colourless(pixels: np.ndarray) -> bool:
    """Whether a photo (H, W, 3) is grey, its channels being equal."""
    if pixels.shape[2] != 3 or not pixels.size:
        return False
    return all(np.array_equal(pixels[..., 0], pixels[..., c]) for c in (1, 2))


def _unit(alpha: np.ndarray | None) -> Tensor | None:
    if alpha is None:
        return None
    return (to_engine(alpha[..., None])[0, 0] + 1) / 2


def _resized(alpha: np.ndarray | None, problem: Problem) -> np.ndarray | None:
    """The alpha channel for the restored picture."""
    if alpha is None:
        return None
    if problem.opaque:
        return np.full(problem.size, peak_of(alpha.dtype), dtype=alpha.dtype)
    return resized(alpha, problem.size)
