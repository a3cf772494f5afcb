"""Writes hooks.md from the docstrings: `python docs/hooks.py`. A test compares the two."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from restorekit import hookspecs, metrics, task, testing
from restorekit.engine import conditioning, declared, denoiser, operators
from restorekit.priors import Prior

PAGE = Path(__file__).with_name("hooks.md")
CLASSES = (
    task.Task,
    task.Picture,
    task.Problem,
    task.Recipe,
    task.Trial,
    task.Finding,
    conditioning.Degradation,
    conditioning.Observation,
    operators.LinearOperator,
    denoiser.Denoiser,
    declared.MethodTraits,
    declared.StepTraits,
    metrics.Traits,
    Prior,
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
    for thing in CLASSES:
        yield from told(f"{thing.__module__}.{thing.__name__}", thing, signed=False)
    yield "## Checks\n"
    for name in testing.__all__:
        if name.startswith("check_") or name == "installed":
            yield from told(f"restorekit.testing.{name}", getattr(testing, name))


def told(name: str, thing: Callable[..., Any], signed: bool = True) -> Iterator[str]:
    """A heading, and signature and docstring as they stand in the code."""
    yield f"### `{name}`\n"
    yield "```text"
    if signed:
        signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(thing)))
        yield f"{name.rpartition('.')[2]}{signature}\n"
    yield inspect.getdoc(thing) or ""
    yield "```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
