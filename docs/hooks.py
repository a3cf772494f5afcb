"""Writes hooks.md from the docstrings: `python docs/hooks.py`. A test compares the two."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from restorekit import hookspecs, metrics, task, testing
from restorekit.engine import (
    conditioning,
    declared,
    denoiser,
    noise,
    operators,
    sampler,
    schedule,
    traits,
)
from restorekit.priors import Prior, from_denoiser

PAGE = Path(__file__).with_name("hooks.md")
THINGS: tuple[Callable[..., Any], ...] = (
    task.Task,
    task.Picture,
    task.Problem,
    task.Guesser,
    task.Recipe,
    task.Trial,
    task.Finding,
    conditioning.Degradation,
    conditioning.Observation,
    operators.LinearOperator,
    denoiser.Denoiser,
    denoiser.Prediction,
    schedule.Schedule,
    conditioning.Conditioned,
    declared.MethodTraits,
    sampler.Step,
    sampler.Previous,
    noise.Noise,
    declared.StepTraits,
    metrics.Traits,
    Prior,
    from_denoiser,
    traits.Traits,
)


def page() -> str:
    """The whole text."""
    return "\n".join(lines())


def lines() -> Iterator[str]:
    yield "# The hooks of restorekit\n"
    yield "Made from the docstrings by `docs/hooks.py`.\n"
    yield from (inspect.getdoc(hookspecs) or "").splitlines()
    yield "\n## Hooks\n"
    for name, hook in vars(hookspecs).items():
        if name.startswith("restorekit_"):
            yield from told(name, hook)
    yield "## What they give and get\n"
    for thing in THINGS:
        yield from told(public(thing), thing)
    yield "## Checks\n"
    for name in testing.__all__:
        if name.startswith("check_") or name == "installed":
            yield from told(f"restorekit.testing.{name}", getattr(testing, name))


def told(name: str, thing: Callable[..., Any]) -> Iterator[str]:
    """A heading, and signature and docstring as they stand in the code; a class's methods, too."""
    yield f"### `{name}`\n"
    yield "```text"
    if made(thing):
        yield f"{signed(name.rpartition('.')[2], thing)}\n"
    yield inspect.getdoc(thing) or ""
    for method, function in methods(thing):
        yield f"\n{signed(method, function)}"
        yield textwrap.indent(inspect.getdoc(function) or "", "    ", str.strip)
    yield "```\n"


def public(thing: Callable[..., Any]) -> str:
    """The name that it is imported by: from a package, where that hands it on."""
    package, name = thing.__module__.rpartition(".")[0], thing.__name__
    handed_on = getattr(importlib.import_module(package), name, None) is thing
    return f"{package if handed_on else thing.__module__}.{name}"


def methods(thing: Callable[..., Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Those of a class that are documented; none of what is no class."""
    for name, held in vars(thing).items() if inspect.isclass(thing) else ():
        own = inspect.isfunction(held) and held.__qualname__ == f"{thing.__name__}.{name}"
        if own and held.__doc__ and (name == "__call__" or not name.startswith("_")):
            yield name, held


def made(thing: Callable[..., Any]) -> bool:
    """Whether it is called by whoever uses it: a function, or a class that is not subclassed."""
    own = "__init__" in vars(thing) and not getattr(thing, "_is_protocol", False)
    return inspect.isfunction(thing) or own


def signed(name: str, thing: Callable[..., Any]) -> str:
    """Its name and its signature, without the marks of what is evaluated later."""
    signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(thing)))
    return name + re.sub(r"<function (\w+) at \w+>", r"\1", signature)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
