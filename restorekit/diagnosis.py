"""What is wrong with a photo, as the tasks see it, and the chain of them that would mend it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import chain_text, plugins
from .chain import Chain, Chained
from .choices import Choices
from .engine.noise import Noise
from .engine.sampler import Progress
from .errors import RestorekitError
from .guard import reason
from .loading import find_device, find_precision, find_prior
from .priors import Prior
from .result import Result
from .shot import Shot
from .task import PRESETS, Finding, Picture, Task

UNASKED = "phone"  # what suits such pictures is mended where no kind is named
REMEMBERED = 8  # chains whose priors are kept loaded


@dataclass(frozen=True)
class Found:
    """A finding, by whom, and the task that would mend it; or that it failed to look."""

    by: str
    finding: Finding
    task: Task | None = None
    failed: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """All that was found in a photo, in the order in which it would be mended."""

    found: tuple[Found, ...]

    def steps(self, preset: str | None = None, strength: float = 1.0) -> list[chain_text.Step]:
        """The tasks to do, and their options; none for a sound photo.

        Args:
            preset: the kind of picture, one of `PRESETS`.
            strength: of those tasks that know of more and less; at 0 none is done.
        """
        if not strength:
            return []
        kind = preset or UNASKED
        wanted: dict[str, Mapping[str, Any]] = {}
        for one in self.found:
            if one.task and one.finding.options is not None and kind in one.finding.suits:
                options = {**wanted.get(one.task.name, {}), **one.finding.options}
                if strength != 1:
                    options = dict(one.task.at_strength(options, strength))
                wanted[one.task.name] = options
        return list(wanted.items())

    def chain(
        self, choices: Choices, preset: str | None = None, strength: float = 1.0
    ) -> Chain | None:
        """The same as a chain; None for a sound photo."""
        steps = self.steps(preset, strength)
        return chain_text.of(steps, choices) if steps else None

    def left(self) -> tuple[str, ...]:
        """What a task could mend, but never does unasked, and who could not look, in words."""
        return tuple(
            f"{one.by} {one.finding.what}" if one.failed else one.finding.what
            for one in self.found
            if one.failed or (one.finding.options is not None and not one.finding.suits)
        )

    def sound(self, strength: float = 1.0) -> bool:
        """Whether a photo that no task is recommended for may be called so, and not just left."""
        return bool(strength) and not self.left()

    def idle(self, strength: float = 1.0) -> str:
        """What is said where no task is to do anything."""
        return "nothing to mend" if self.sound(strength) else "left as it is"


def diagnosed(shot: Shot) -> Diagnosis:
    """Asks every task and every finder about a photo."""
    picture = shot.picture(Noise(0, shot.name))
    registry = plugins.registry()
    found: list[Found] = []
    for finder, look in registry.offered("finder").items():
        found += asked(finder, look, picture)
    for task in sorted(registry.tasks.values(), key=lambda task: (task.stage, task.name)):
        if task.takes_photo:
            found += asked(task.name, task.find, picture, task)
    return Diagnosis(tuple(found))


def asked(
    by: str,
    look: Callable[[Picture], Iterable[Finding]],
    picture: Picture,
    task: Task | None = None,
) -> Iterator[Found]:
    """What one of them finds. One that fails says so, and takes nothing else down."""
    try:
        findings = list(look(picture))
        if wrong := [f for f in findings if not isinstance(f, Finding)]:
            raise TypeError(f"{wrong[0]!r} is no Finding")
        if task is not None:
            for finding in findings:
                if finding.options is not None:
                    chain_text.link((task.name, finding.options), Choices())
    except (Exception, SystemExit) as error:  # a plugin's
        what = plugins.registry().blamed(error) or reason(error)
        yield Found(by, Finding(f"could not look: {what}"), failed=True)
        return
    for finding in findings:
        yield Found(by, finding, task)


@dataclass(frozen=True)
class Restoration:
    """Whatever each photo needs: a `folder.Spec` whose chain is another one for every photo.

    Attributes:
        choices: of every task, beyond what it recommends.
        preset, strength: see `Diagnosis.steps`.

    Raises:
        RestorekitError: for an unknown preset.
    """

    choices: Choices
    preset: str | None = None
    strength: float = 1.0

    name = "restore"
    takes_photo = True
    extras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.preset is not None and self.preset not in PRESETS:
            raise RestorekitError(
                f"preset {self.preset!r} is unknown; use {', '.join(PRESETS)}, or none"
            )

    def reads(self, name: str) -> list[Path]:
        return []

    def on(self, device: str) -> Restoration:
        return dataclasses.replace(self, choices=dataclasses.replace(self.choices, device=device))

    def absolute(self) -> Restoration:
        return self

    def chain(self, shot: Shot) -> Chain | None:
        """What one photo needs; None for a sound one."""
        return self.chain_of(diagnosed(shot))

    def chain_of(self, found: Diagnosis) -> Chain | None:
        """The same of a photo that was looked at."""
        return found.chain(self.choices, self.preset, self.strength)

    def opened(self) -> Diagnosing:
        return Diagnosing(self)


class Diagnosing:
    """Looks at each photo, and does what it needs. Priors are loaded when a photo needs them."""

    at_once = 1

    def __init__(self, plan: Restoration) -> None:
        self.plan = plan
        self._chains: dict[str, Chained] = {}

    @functools.cached_property
    def priors(self) -> list[Path]:
        """The weights that it may read."""
        read: list[Path] = []
        for offered in plugins.registry().offered("prior").values():
            read += offered.files if isinstance(offered, Prior) else [offered]
        return read

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """All that decides what becomes of a photo."""
        weights = {}
        for name in plugins.registry().offered("prior"):
            with contextlib.suppress(RestorekitError):  # a plugin's, and perhaps never asked
                weights[name] = find_prior(name).digest
        choices = self.plan.choices
        precision = find_precision(choices.precision, find_device(choices.device))
        chosen = dataclasses.asdict(choices) | {"precision": precision}
        return {
            "task": self.plan.name,
            "preset": self.plan.preset,
            "strength": self.plan.strength,
            "choices": {n: v for n, v in chosen.items() if n not in ("device", "tile")},
            "priors": weights,
            "versions": [version("restorekit"), *plugins.registry().versions],
        }

    def __call__(
        self,
        shot: Shot,
        *,
        sample_number: int = 0,
        progress: Progress | None = None,
        expected: Callable[[tuple[int, int]], None] | None = None,
    ) -> Result:
        """Restores one photo; the arguments are those of `Restorer`."""
        found = diagnosed(shot)
        chain, left = self.plan.chain_of(found), found.left()
        if chain is None:
            sound = found.sound(self.plan.strength)
            note = "nothing to mend: left as it is" if sound else "left as it is"
            return Result(shot.pixels, shot.alpha, 0, 0.0, (note, *left))
        text = chain_text.written(chain)
        restoring = self._opened(text, chain)
        result = restoring(shot, sample_number=sample_number, progress=progress, expected=expected)
        return dataclasses.replace(result, notes=(f"done: {text}", *result.notes, *left))

    def _opened(self, text: str, chain: Chain) -> Chained:
        if text not in self._chains:
            if len(self._chains) >= REMEMBERED:
                self._chains.pop(next(iter(self._chains)))
            self._chains[text] = chain.opened()
        return self._chains[text]
