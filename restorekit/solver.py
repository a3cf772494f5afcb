"""From a problem to its x_0: where the sampler starts, what it asks, and where."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import memory
from .answers import Answering, denoiser_of, stepping, whose
from .choices import Choices
from .decided import Decided
from .engine.colour import EachChannel, coloured_state, in_colour
from .engine.conditioning import Observation, needed
from .engine.covariance import Covariance, whitened
from .engine.declared import of_method, of_step
from .engine.denoiser import Denoiser
from .engine.levels import Blended
from .engine.noise import Noise
from .engine.regions import around
from .engine.sampler import GRIDS, Progress, sample, times_at, times_for, travelling
from .engine.symmetry import MIRROR, SQUARE, Ensemble, Motion, Turning
from .engine.tiling import Tiled, Windowed
from .engine.traits import Known, Traits
from .engine.wrappers import Guarded, Shared, Topped
from .errors import RestorekitError
from .task import Problem
from .watching import Counted, Watched

if TYPE_CHECKING:
    from .engine.schedule import Schedule

log = logging.getLogger(__name__)

OTHER_PRIOR = "use another prior, or --precision float32"
Found = tuple[Tensor, int]  # x_0 on the CPU with the picture's own channels, and evaluations


@dataclass(frozen=True)
class Start:
    """Where the sampler starts.

    Attributes:
        guess: (B, C, H, W), in the prior's channels.
        level: noise-to-signal ratio, a map of it, or None for the recipe's own levels.
        is_state: the guess has noise of that level already.
    """

    guess: Tensor
    level: float | Tensor | None
    is_state: bool
    observation: Observation


class Solver:
    """Answers problems with a prior, as it was decided.

    Args:
        at_once: how many threads will call it, so that their tiles share batches.
    """

    def __init__(
        self, how: Decided, choices: Choices, prior: Known, device: torch.device, at_once: int
    ) -> None:
        self.how, self.prior, self.device, self.at_once = how, prior, device, at_once
        self.recipe, self.method, self.step = how.recipe, how.method, how.step
        self.perceptual = choices.mode == "perceptual"
        self.ensemble = choices.ensemble or choices.effort == "high"
        self.tile = choices.tile
        self.motions = SQUARE if prior.turned else MIRROR
        self.evaluated = asked(prior)
        if at_once > 1:
            self.evaluated = Shared(self.evaluated)

    @functools.cached_property
    def steps(self) -> int:
        """For one photo, those included that time travel walks again."""
        times = torch.arange(self.recipe.steps, -1, -1, dtype=torch.float64)
        if self.recipe.travel:
            times = travelling(times, *self.recipe.travel)
        return int((times.diff() < 0).sum())

    def admit(self, problem: Problem) -> None:
        """Raises RestorekitError for what could not be solved, before a guess is made for it."""
        if self.prior.translate is not None:
            self.prior.translate(problem)
        else:
            self._evaluated(problem.size, None)

    @torch.inference_mode()
    def __call__(self, problem: Problem, noise: Noise, progress: Progress | None) -> Found:
        """Looks only at what lies around the unknown, where the rest of the picture is known
        anyhow: with the same noise, and hence with the same result."""
        if self.prior.translate is not None:
            return self._elsewhere(problem, noise, progress)
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

    def _elsewhere(self, problem: Problem, noise: Noise, progress: Progress | None) -> Found:
        """In the prior's own space, as a latent one has it."""
        assert self.prior.translate is not None
        if problem.level == 0 and problem.guess is not None:  # nothing to restore
            return problem.guess, 0
        there = self.prior.translate(problem)
        x_0, nfe = self._sampled(there.problem, noise, progress)
        x_0 = there.back(x_0)
        return problem.finish(x_0) if problem.finish else x_0, nfe

    def _sampled(self, problem: Problem, noise: Noise, progress: Progress | None) -> Found:
        """x_0 as the sampler finds it."""
        grey = problem.channels == 1
        start = self._start(problem, noise)
        level, guess = start.level, start.guess
        largest = float(level.max()) if isinstance(level, Tensor) else level
        times = self._times(self.prior.schedule, largest)
        if times[0] <= 0:  # a photo without noise is its own best estimate
            return guess.mean(1, keepdim=True) if grey else guess, 0

        alpha, sigma = (float(v) for v in self.prior.schedule(times[0]))
        x_t = alpha * guess
        if not start.is_state and not of_step(self.step).noiseless:
            x_t = x_t + sigma * noise.normal(guess.shape)
        watched = None if progress is None else Watched(progress)
        counted = Counted(self._evaluated((x_t.shape[2], x_t.shape[3]), watched))
        prior = self._turned(counted, needed(self.method, start.observation))
        if start.is_state and self.recipe.steps == 1:
            prior = sound(prior, self.prior)
        if isinstance(level, Tensor):
            prior = Blended(prior, (level / level.max()).to(self.device))
        prior = Answering(prior, whose("prior", self.how.prior_name), OTHER_PRIOR)
        try:
            posterior = self.method(prior, start.observation.to(self.device))
        except ValueError as error:
            raise RestorekitError(str(error)) from error
        x_0 = sample(
            denoiser_of(posterior, whose("method", self.recipe.method)),
            x_t.to(self.device),
            times,
            step=stepping(self.step, whose("sampler", self.recipe.sampler)),
            noise=noise,
            progress=watched,
        ).cpu()
        x_0 = x_0.mean(1, keepdim=True) if grey else x_0
        nfe = self.prior.evaluations * counted.evaluations
        return problem.finish(x_0) if problem.finish else x_0, nfe

    def _start(self, problem: Problem, noise: Noise) -> Start:
        """The guess with the channels, and at the level, that prior and sampler ask for."""
        observation, channels, guess = problem.observation, problem.channels, problem.guess
        if guess is None:
            guess = observation.operator.pinv(observation.y)
        level: float | Tensor | None
        level = self.recipe.start if problem.level is None else problem.level
        is_state, sigma_y = problem.guess_is_state, observation.sigma
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
            observation = in_colour(observation)
            guess = guess.expand(-1, 3, -1, -1)
            if is_state and level is not None:
                chroma = noise.branch("chroma") if self.perceptual else Noise(0, "chroma")
                guess, level = coloured_state(guess, level, chroma), 3**0.5 * level
        elif self.prior.channels not in (1, channels):
            raise RestorekitError(f"the prior has {self.prior.channels} channels, not {channels}")
        return Start(guess, level, is_state, observation)

    def _turned(self, prior: Counted, needed: Tensor | None) -> Denoiser:
        """The prior, asked where that is needed, and about turned pictures where that helps."""

        def moved(motion: Motion) -> Denoiser:
            return prior if needed is None else prior.where(motion(needed))

        if self.ensemble:
            return Ensemble(prior, self.motions, moved)
        traits = of_step(self.step)
        if traits.turning and (self.prior.bound or not traits.exposed):
            return Turning(prior, self.motions, moved)
        return moved(Motion())

    def _times(self, schedule: Schedule, level: float | None) -> Tensor:
        recipe = self.recipe
        if recipe.levels and level == recipe.start:
            times = times_at(schedule, recipe.steps, recipe.levels)
        else:
            times = times_for(
                schedule,
                recipe.steps,
                grid=GRIDS[recipe.grid],
                start=1.0 if level is None else float(schedule.time_for(level)),
                end=float(schedule.time_for(recipe.end)),
            )
        return travelling(times, *recipe.travel) if recipe.travel else times

    def _evaluated(self, size: tuple[int, int], watched: Watched | None) -> Denoiser:
        """The prior for a picture of that size."""
        alone = not of_method(self.method).conditions and self.recipe.steps == 1
        return fitted(
            self.prior,
            self.evaluated,
            size,
            self.device,
            self.how.prior_name,
            tile=self.tile,
            states=memory.STATES_ALONE if alone else memory.STATES_CONDITIONED,
            at_once=self.at_once,
            tick=watched.within if watched else None,
        )


def fitted(
    prior: Known,
    evaluated: Denoiser,
    size: tuple[int, int],
    device: torch.device,
    name: str,
    *,
    tile: int | None,
    states: int = memory.STATES_ALONE,
    at_once: int = 1,
    tick: Callable[[float], None] | None = None,
) -> Denoiser:
    """What a prior says of a picture of a size: in tiles where it is local, else in windows.

    Args:
        evaluated: what is asked, as `asked` gives it.
        name: the prior's, in messages.
        tile: pixels a side of them; None: as many as there is memory for.
        states: see `memory.check`.
        tick: called with the share that is done of each evaluation.

    Raises:
        RestorekitError: where there is not the memory.
    """
    halo, multiple = prior.halo, prior.multiple
    if tile is not None:
        tile = max(tile // prior.pixels // multiple, 1) * multiple
    elif halo is None:
        tile = prior.window
    else:
        tile = memory.tile_for(prior, device, size, at_once)
    memory.check(size, prior, tile, states, device)
    if halo is not None:
        return Tiled(evaluated, tile, halo, multiple, tick=tick)
    if max(size) <= tile:
        return evaluated
    _tell_of_windows(name, tile * prior.pixels)
    return Windowed(evaluated, tile, tile // 4)


@torch.inference_mode()
def denoised(
    y: Tensor, level: float, prior: Known, name: str, device: torch.device, tile: int | None
) -> Found:
    """E[x_0 | y] of a picture (1, C, H, W) with noise of a level, in engine units.

    Args:
        name: of the prior.
        tile: see `fitted`.
    """
    t = prior.schedule.time_for(level)
    alpha, _ = prior.schedule(t)
    channels = max(prior.channels, y.shape[1])
    x_t = (float(alpha) * y.expand(-1, channels, -1, -1)).to(device)
    size = (y.shape[2], y.shape[3])
    counted = Counted(fitted(prior, asked(prior), size, device, name, tile=tile))
    answering = Answering(sound(counted, prior), whose("prior", name), OTHER_PRIOR)
    x_0 = answering(x_t, t).x_0.cpu()
    nfe = prior.evaluations * counted.evaluations
    return x_0.mean(1, keepdim=True) if y.shape[1] == 1 else x_0, nfe


@functools.cache  # once
def _tell_of_windows(prior: str, window: int) -> None:
    log.warning(
        "the prior %r sees a picture as a whole, and %d pixels of it at most; "
        "larger ones are put together from overlapping windows",
        prior,
        window,
    )


def asked(prior: Known) -> Denoiser:
    """A prior as it is asked: safe from overflow, and channel by channel if it knows only grey."""
    guarded = prior if prior.precision == torch.float32 else Guarded(prior)
    return EachChannel(guarded) if prior.channels == 1 else guarded


def sound(asked: Denoiser, prior: Traits) -> Denoiser:
    """A prior for a photo's own noise, whose level is seldom known: told an upper bound of it."""
    return asked if prior.bound else Topped(asked)
