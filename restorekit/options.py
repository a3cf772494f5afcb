"""Types of command line options, for tasks to use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

MOST_STEPS = 1000  # of a sampler: the discrete chain has no more
MOST_SAMPLES = 1000

# Headings of `--help`, in this order; others that a plugin names come after them.
WHAT = "What"
HOW_STRONG = "How strong"
FILES = "Files"
FOLDERS = "Folders"
MACHINE = "Speed and memory"
RESEARCH = "Research"
HEADINGS = (WHAT, HOW_STRONG, FILES, FOLDERS, MACHINE, RESEARCH)


def never(value: Any) -> bool:
    """Of no value."""
    return False


def stays(typed: Mapping[str, Any]) -> bool:
    """Gives way to nothing."""
    return False


def any_of(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    """Gives way to each of these parameters."""
    return lambda typed: not typed.keys().isdisjoint(names)


def always(value: Any) -> bool:
    """Of every value."""
    return True


class Option(click.Option):
    """An option that says where it belongs. A plain `click.Option` will do as well.

    Args:
        heading: of `--help`; by default that of the list it comes in, and a task's own are "What".
        once: it belongs on a command line, and no configuration file may have it.
        risky: of which values may a project's configuration file, which can have come with
            somebody else's photos, not make a default? Of those that write where nobody asked.
        gives_way: whether a configuration file's value goes without saying, given what was typed,
            by parameters' names: where both exclude one another, the command line wins.
    """

    def __init__(
        self,
        *declared: Any,
        heading: str | None = None,
        once: bool = False,
        risky: Callable[[Any], bool] = never,
        gives_way: Callable[[Mapping[str, Any]], bool] = stays,
        **settings: Any,
    ) -> None:
        super().__init__(*declared, **settings)
        self.heading, self.once, self.risky = heading, once, risky
        self.gives_way = gives_way


def typed(value: Any) -> Any:
    """A value of a TOML file as one would type it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


class Number(click.FloatRange):
    """A number within bounds, as click's FloatRange has them; never NaN or infinite."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number to work with; give a finite number", param, ctx)
        return number


class PathOr(click.Path):
    """A path, or one of some words, which stand for something else; ./WORD is a path."""

    def __init__(self, *words: str, **of_path: Any) -> None:
        super().__init__(**of_path)
        self.words = words

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value if self.is_word(value) else super().convert(value, param, ctx)

    def is_word(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.words

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "|".join([*self.words, "FILE"])


class MaskPath(PathOr):
    """A picture as large as the photo, in which white marks what is meant. A page lets it be
    painted; words stand for masks that the task finds by itself."""


class NameOrPath(PathOr):
    """A name among the plugins', or a path, which has a suffix or several parts."""

    def is_word(self, value: Any) -> bool:
        return isinstance(value, str) and not Path(value).suffix and len(Path(value).parts) < 2

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "NAME|FILE"


class Travel(click.ParamType):  # type: ignore[type-arg]
    """LENGTH,REPEATS of time travel; two numbers in Python."""

    name = "LENGTH,REPEATS"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        words = value.split(",") if isinstance(value, str) else list(value)
        try:
            length, repeats = (int(str(word)) for word in words)
        except ValueError:
            length = repeats = 0
        if not (1 <= length <= MOST_STEPS and 1 <= repeats <= MOST_STEPS):
            self.fail(f"{value!r} is no time travel; write LENGTH,REPEATS, as in 4,2", param, ctx)
        return length, repeats


class NoiseLevel(click.ParamType):  # type: ignore[type-arg]
    """A noise standard deviation: text is on 0..255, numbers on [0, 1]; "auto" may be allowed."""

    name = "0..255"

    def __init__(self, auto: bool = False) -> None:
        self.auto = auto

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "auto|0..255" if self.auto else "0..255"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        if self.auto and value == "auto":
            return "auto"
        try:
            sigma = float(value) / (255 if isinstance(value, str) else 1)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is not a noise level; give a number from 0 to 255", param, ctx)
        if not 0 <= sigma <= 1:
            scale = "0..255" if isinstance(value, str) else "0..1; divide what you know by 255"
            self.fail(f"{value!r} is out of range; a noise level lies in {scale}", param, ctx)
        return sigma

    def typed(self, value: float | str) -> float | str:
        """The value as one types it: on 0..255, without what multiplying adds to it."""
        return value if isinstance(value, str) else float(f"{255 * value:.10g}")


def noise_option(meaning: str) -> Option:
    """`--sigma`, of a task that can find the noise by itself.

    Args:
        meaning: what auto does, and what a number does.
    """
    return Option(
        ["--sigma"],
        type=NoiseLevel(auto=True),
        default="auto",
        show_default=True,
        heading=HOW_STRONG,
        help=f"How much noise there is: {meaning}",
    )


def strength_option(meaning: str, most: float = 1) -> Option:
    """`--strength`, 1 unless another is given, which `Task.at_strength` knows.

    Args:
        meaning: what less does, and more.
        most: the largest that is taken.
    """
    return Option(
        ["--strength"],
        type=Number(0, most),
        default=1.0,
        show_default=True,
        heading=HOW_STRONG,
        help=meaning,
    )
