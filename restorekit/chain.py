"""Tasks one after the other on one photo, without rounding in between. One task is a chain too."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from . import plugins
from .answers import versions_of
from .choices import Choices
from .engine.sampler import Progress
from .errors import RestorekitError
from .given import paths_of
from .loading import offered_priors
from .parameters import flat
from .provenance import worst
from .restorer import Restorer
from .result import Result
from .shot import Shot
from .task import Task
from .units import converted


@dataclass(frozen=True)
class Link:
    """A task of a chain: its name, its options (resolved), and what it leaves to its recipe."""

    task: str
    options: Mapping[str, Any]
    choices: Choices

    @property
    def found(self) -> Task:
        return plugins.registry().task(self.task)


@dataclass(frozen=True)
class Chain:
    """What is to be done to a photo, in order. It may travel to other processes.

    Raises:
        RestorekitError: for no task at all, or one that draws from nothing after another.
    """

    links: tuple[Link, ...]

    def __post_init__(self) -> None:
        if not self.links:
            raise RestorekitError("the chain is empty; name a task, as in 'denoise | superres'")
        for link in self.links[1:]:
            if not link.found.takes_photo:
                raise RestorekitError(
                    f"{link.task} takes no photo, and would drop what was made before it; "
                    "let it be the first of the chain"
                )
        named = self.extras
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise RestorekitError(
                f"two tasks of the chain would write a {twice[0]} beside the photo, of one name; "
                "let one of them do so"
            )

    @property
    def name(self) -> str:
        """Whose the outputs are, in a folder's record."""
        return " | ".join(link.task for link in self.links)

    @property
    def takes_photo(self) -> bool:
        return self.links[0].found.takes_photo

    def reads(self, name: str) -> list[Path]:
        """The files besides the photo of that name that decide what becomes of it."""
        return [path for link in self.links for path in link.found.reads(name, **link.options)]

    @property
    def extras(self) -> tuple[str, ...]:
        """What is written besides each photo."""
        return tuple(name for link in self.links for name in link.found.extras(**link.options))

    def on(self, device: str) -> Chain:
        """The same on another device."""
        return Chain(
            tuple(
                dataclasses.replace(k, choices=dataclasses.replace(k.choices, device=device))
                for k in self.links
            )
        )

    def absolute(self) -> Chain:
        """The same with absolute paths, wherever it may be opened."""
        return Chain(tuple(anchored(link, Path.cwd()) for link in self.links))

    def opened(self) -> Chained:
        """Its priors loaded."""
        return Chained(self)


class Chained:
    """A chain with its priors loaded, ready for any number of photos.

    Attributes:
        at_once: how many threads should call it, so that their tiles share batches.

    Raises:
        RestorekitError: as a `Restorer` does.
    """

    def __init__(self, chain: Chain) -> None:
        self.plan = chain
        self.steps = [
            (Restorer(link.found, link.choices, link.options), link.options) for link in chain.links
        ]
        self.at_once = min(restorer.at_once for restorer, _ in self.steps)

    @property
    def priors(self) -> list[Path]:
        """The files of the priors that it reads."""
        return [path for restorer, _ in self.steps for path in restorer.read]

    @functools.cached_property
    def settings(self) -> list[dict[str, Any]]:
        """All that decides what becomes of a photo, but for the files that are read."""
        return [settings_of(restorer, options) for restorer, options in self.steps]

    def __call__(
        self,
        shot: Shot,
        *,
        sample_number: int = 0,
        progress: Progress | None = None,
        expected: Callable[[tuple[int, int]], None] | None = None,
    ) -> Result:
        """Restores one photo; the arguments are those of `Restorer`.

        Between two tasks pixels are floats. A task sees the file that the photo was read from as
        long as those before it have left the photo as it was.
        """

        def run(number: int, shot: Shot, progress: Progress | None) -> Result:
            restorer, options = self.steps[number]
            return restorer(
                shot,
                sample_number=sample_number,
                progress=progress,
                expected=expected,
                **options,
            )

        if len(self.steps) == 1:
            return run(0, shot, progress)
        kind = shot.pixels.dtype
        here = shot.floats()
        results: list[Result] = []
        for number in range(len(self.steps)):
            result = run(number, here, progress and part(progress, number, len(self.steps)))
            if unchanged(here.pixels, result.pixels):
                result = dataclasses.replace(result, pixels=here.pixels, made="")
                here = dataclasses.replace(here, alpha=result.alpha)
            else:
                restorer, options = self.steps[number]
                resized = functools.partial(restorer.task.resized, **options)
                here = here.became(result.pixels, result.alpha, resized)
            results.append(result)
        alpha = here.alpha
        return Result(
            converted(here.pixels, kind),
            None if alpha is None else converted(alpha, kind),
            sum(result.nfe for result in results),
            sum(result.seconds for result in results),
            tuple(
                f"{link.task}: {note}"
                for link, result in zip(self.plan.links, results, strict=True)
                for note in result.notes
            ),
            worst([result.origin for result in results if result.made] or [results[0].origin]),
            " | ".join(result.made for result in results if result.made),
            {name: shown for result in results for name, shown in result.extras.items()},
        )


def part(progress: Progress, number: int, count: int) -> Progress:
    """The progress of one task of several, of which each is a step."""
    return lambda done, total: progress(number + done / max(total, 1), count)


def unchanged(before: np.ndarray, after: np.ndarray) -> bool:
    """But for what float32 rounds on the way into the engine and out of it."""
    return before.shape == after.shape and np.allclose(before, after, rtol=0, atol=1e-6)


def settings_of(restorer: Restorer, options: Mapping[str, Any]) -> dict[str, Any]:
    """What decides pixels. What lies at paths among the options, a record's key has by content."""
    task, how, choices = restorer.task, restorer.how, restorer.choices
    paths = paths_of(task, options)
    recipe, prior = how.recipe, how.prior
    named = {
        "task": task.name,
        "method": recipe.method,
        "sampler": recipe.sampler,
        "prior": how.prior_name,
    }
    offered = plugins.registry().owner("prior", how.prior_name) is not None
    name = how.prior_name if offered else prior.name  # wherever its file lies
    return {
        "task": task.name,
        "options": {n: repr(v) for n, v in sorted(options.items()) if n not in paths},
        "recipe": dataclasses.asdict(recipe),
        "tuning": flat(how.tuning),
        "mode": choices.mode,
        "seed": choices.seed,
        "ensemble": restorer.solver.ensemble,
        "window": choices.tile if restorer.prior.halo is None else None,  # tiles change nothing
        "precision": f"torch.{restorer.precision}",
        "prior": [name, restorer.weights, dict(prior.described)],
        "cleaner": None if restorer.cleaner is None else restorer.cleaner.digest,
        "versions": [version("restorekit"), *versions_of(named, prior.load)],
        "first": None if restorer.first is None else settings_of(restorer.first, options),
    }


def anchored(link: Link, folder: Path) -> Link:
    """A link whose paths, among its options or its prior, count from a folder."""

    def path(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(map(path, value))
        return value if value is None else type(value)(folder / value)

    paths = paths_of(link.found, link.options)
    options = {name: path(v) if name in paths else v for name, v in link.options.items()}
    choices = link.choices
    prior = choices.prior
    if isinstance(prior, str) and prior not in offered_priors():
        choices = dataclasses.replace(choices, prior=str(folder / prior))
    return Link(link.task, options, choices)


def alone(task: Task, choices: Choices, options: Mapping[str, Any]) -> Chain:
    """A chain of one task."""
    return Chain((Link(task.name, dict(options), choices),))
