"""Chains as people write them: a line, as in "dejpeg | denoise strength=0.8", or a TOML file."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from . import files, plugins
from .chain import Chain, Link, anchored
from .choices import Choices
from .errors import RestorekitError
from .given import resolve
from .options import NoiseLevel, Travel, typed
from .parameters import from_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Step = tuple[str, Mapping[str, Any]]
# Of `Choices`, what a step may say.
OWN = ("mode", "method", "sampler", "steps", "prior", "ensemble", "travel", "tuning", "effort")
FORM = "write 'TASK NAME=VALUE ... | TASK ...', as in 'dejpeg | denoise strength=0.8'"


def of(given: str | Sequence[str | Step], choices: Choices) -> Chain:
    """A chain, of its text or, in Python, of tasks' names and pairs (name, options).

    Args:
        given: options in text mean what they mean on the command line (sigma=25 is on 0..255);
            else what they mean in `restorekit.restore`. Among them may be mode, method, sampler,
            steps, prior, ensemble, effort, travel and tuning, which text and files call "with".
        choices: for what the steps leave open.

    Raises:
        RestorekitError: for text of another form, an unknown task, or options that do not fit.
    """
    if isinstance(given, str):
        return Chain(tuple(link(step, choices) for step in parsed(given)))
    links: list[Link] = []
    for item in given:
        if isinstance(item, str):
            links += of(item, choices).links
        elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], Mapping):
            links.append(link(item, choices))
        else:
            raise RestorekitError(f"{item!r} is no step of a chain; give NAME or (NAME, OPTIONS)")
    return Chain(tuple(links))


def from_file(path: Path, choices: Choices) -> Chain:
    """The chain of a TOML file: a table [[step]] for each, with its task and its options.

    Paths in it count from the folder that it is in.

    Raises:
        RestorekitError: if it cannot be read, or is of another form.
    """
    try:
        content = tomllib.loads(files.text(path))
    except tomllib.TOMLDecodeError as error:
        raise RestorekitError(f"{path}: is no TOML ({error})") from error
    steps = content.pop("step", None)
    tables = isinstance(steps, list) and all(isinstance(step, dict) for step in steps)
    if content or not tables or not all(isinstance(s.get("task"), str) for s in steps):
        raise RestorekitError(
            f"{path}: is no chain; give every task a table, as in\n[[step]]\ntask = 'denoise'"
        )
    links = []
    for step in steps:
        options = {in_python(n): typed(v) for n, v in step.items() if n != "task"}
        try:
            links.append(anchored(link((step["task"], options), choices), path.parent))
        except RestorekitError as error:
            raise RestorekitError(f"{path}: {error}") from error
    return Chain(tuple(links))


def written(chain: Chain) -> str:
    """A chain as text that `of` understands, with what differs from the tasks' defaults."""
    steps = []
    for one in chain.links:
        task = one.found
        plain = resolve(task, {})
        words = [one.task]
        for option in task.options:
            name = option.name or ""
            if (value := one.options.get(name)) != plain[name]:
                words.append(f"{name.replace('_', '-')}={shlex.quote(as_typed(option, value))}")
        steps.append(" ".join(words))
    return " | ".join(steps)


def as_typed(option: click.Option, value: Any) -> str:
    """An option's value as one would type it."""
    if isinstance(option.type, NoiseLevel):
        value = option.type.typed(value)
    return f"{value:.10g}" if isinstance(value, float) else str(typed(value))


def parsed(text: str) -> list[Step]:
    """The steps of a line.

    Raises:
        RestorekitError: for text of another form.
    """
    words = shlex.shlex(text, posix=True, punctuation_chars="|")
    words.whitespace_split, words.commenters = True, ""
    steps: list[list[str]] = [[]]
    try:
        for word in words:
            if set(word) == {"|"}:
                steps.append([])
            else:
                steps[-1].append(word)
    except ValueError as error:
        raise RestorekitError(f"chain {text!r}: {error}; {FORM}") from error
    if not all(steps):
        raise RestorekitError(f"chain {text!r} has a step without a task; {FORM}")
    return [(name, gathered(options, name)) for name, *options in steps]


def gathered(words: Sequence[str], task: str) -> dict[str, Any]:
    """The options of a step; with=NAME=VALUE may come several times."""
    found: dict[str, Any] = {}
    for word in words:
        name, value = pair(word, task)
        found[name] = (*found.get(name, ()), value) if name == "tuning" else value
    return found


def pair(word: str, task: str) -> tuple[str, Any]:
    """NAME=VALUE; a name alone is a flag."""
    name, equals, value = word.partition("=")
    name = in_python(name.removeprefix("--"))
    if not name.isidentifier():
        raise RestorekitError(f"{task}: {word!r} is no option; {FORM}")
    return name, value if equals else "true"


def in_python(name: str) -> str:
    """An option as Python names it, where "with" is a word of the language."""
    return "tuning" if name == "with" else name.replace("-", "_")


def link(step: Step, choices: Choices) -> Link:
    """A step with every option resolved."""
    name, given = step
    task = plugins.registry().task(name)
    own = {option.name for option in task.options}
    common = {n: v for n, v in given.items() if n in OWN and n not in own}
    options = resolve(task, {n: v for n, v in given.items() if n not in common})
    if isinstance(steps := common.get("steps"), str) and steps.isdecimal():
        common["steps"] = int(steps)
    if common.get("ensemble") in ("true", "false"):
        common["ensemble"] = common["ensemble"] == "true"
    if common.get("travel") is not None:
        common["travel"] = travel_of(common["travel"], name)
    if isinstance(tuning := common.get("tuning"), list | tuple):
        common["tuning"] = from_text(tuning)
    return Link(name, options, dataclasses.replace(choices, **common))


def travel_of(value: Any, task: str) -> tuple[int, int]:
    """Raises RestorekitError for anything but two numbers."""
    try:
        return Travel().convert(value, None, None)
    except (click.BadParameter, TypeError) as error:
        raise RestorekitError(f"{task}: travel: {value!r}: write LENGTH,REPEATS") from error
