"""What a step, a method or a metric says of itself: attributes of the function, a plugin's too.

    @marked(StepTraits(noiseless=True))
    def settled(denoiser, x_t, t, s, noise, previous, *, momentum=0.8): ...

is the same as `settled.noiseless = True`. What a function leaves out has the default that is stated
here, and what wraps it (a `functools.partial` that sets its options, `functools.wraps`) has what it
has. Nothing asks which function it is: the same one under another name does the same.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class StepTraits:
    """Of a sampler's step.

    Attributes:
        noiseless: its state is alpha_t x_0 without noise, to start with as later on.
        turning: it may ask about another turn of the picture each time (see `symmetry.Turning`).
        exposed: it asks about pictures with less noise than it tells. What a network that does not
            take its level for a bound makes of their turned errors adds up, so such are not turned.
        evaluations: of the denoiser, for each step; one fewer may do for the last.
    """

    noiseless: bool = False
    turning: bool = False
    exposed: bool = False
    evaluations: int = 1


@dataclass(frozen=True)
class MethodTraits:
    """Of a method.

    Attributes:
        keeps_state: y may be the state that sampling starts from, as the method does not count
            it a second time.
        keeps_known: where a mask's known pixels have no noise, it gives those back whatever the
            prior says of them.
        conditions: it makes use of the observation at all.
    """

    keeps_state: bool = False
    keeps_known: bool = False
    conditions: bool = True


Traits = TypeVar("Traits", bound=Any)  # a dataclass, as those above


def marked(traits: Any) -> Callable[[Function], Function]:
    """A decorator that gives a function these traits."""

    def mark(function: Function) -> Function:
        for name, value in vars(traits).items():
            setattr(function, name, value)
        return function

    return mark


def of_step(step: Callable[..., Any]) -> StepTraits:
    """The traits of a sampler's step."""
    return declared(step, StepTraits())


def of_method(method: Callable[..., Any]) -> MethodTraits:
    """The traits of a method."""
    return declared(method, MethodTraits())


def declared(function: Callable[..., Any], defaults: Traits) -> Traits:
    """Traits of any kind, those that a function leaves out by default."""
    within = layers(function)
    found = {
        name: getattr(layer, name)
        for name in vars(defaults)
        for layer in reversed(within)
        if hasattr(layer, name)
    }
    return dataclasses.replace(defaults, **found)


def layers(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """A function and, from the outside in, what it wraps."""
    found = [function]
    while True:
        outer = found[-1]
        inner = outer.func if isinstance(outer, functools.partial) else None
        inner = inner or getattr(outer, "__wrapped__", None)
        if inner is None:
            return found
        found.append(inner)


class Range(NamedTuple):
    """What an option may be: `eta: Annotated[float, Range(0, 1)] = 0.0`; the limits included."""

    least: float = -math.inf
    most: float = math.inf
