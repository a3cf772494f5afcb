"""Types of command line options, for tasks to use."""

from __future__ import annotations

import math
from typing import Any

import click

MOST_STEPS = 1000  # of a sampler: the discrete chain has no more
MOST_SAMPLES = 1000


class Number(click.FloatRange):
    """A number within bounds, as click's FloatRange has them; never NaN or infinite."""

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
        """The value as one types it: on 0..255."""
        return value if isinstance(value, str) else round(255 * value, 6)
