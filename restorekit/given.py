"""The options that a task is given: checked, and which of them are paths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import click

from .errors import RestorekitError
from .options import PathOr
from .task import Task


def resolve(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each of a task's options: the given one, checked, or the default (for None).

    Raises:
        RestorekitError: for an option the task does not have, a wrong value, or a missing one.
    """
    known = {option.name: option for option in task.options if option.name}
    if unknown := sorted(set(given) - set(known)):
        offers = ", ".join(known) or "none"
        raise RestorekitError(f"{task.name} has no option {unknown[0]!r}; it has: {offers}")
    # The defaults are what click makes of an empty command line.
    command = click.Command(task.name, params=[*task.options], add_help_option=False)
    context = command.make_context(task.name, [], resilient_parsing=True)
    values: dict[str, Any] = {}
    for name, option in known.items():
        value = given.get(name)
        if value is None:
            value = context.params[name]
        elif not getattr(value, "ndim", 0):  # arrays and tensors are the task's to check
            try:
                value = option.type_cast_value(context, value)
            except click.BadParameter as error:
                raise RestorekitError(f"{task.name}: option {name}: {error.message}") from error
            except (TypeError, ValueError) as error:
                raise RestorekitError(
                    f"{task.name}: option {name} cannot be a {type(value).__name__}; "
                    f"see `restorekit {task.name} --help`"
                ) from error
        if isinstance(value, float) and not math.isfinite(value):
            raise RestorekitError(f"{task.name}: option {name} is {value}; give a finite number")
        if value is None and option.required:
            raise RestorekitError(f"{task.name} needs the option {name!r}")
        values[name] = value
    return values


def paths_of(task: Task, options: Mapping[str, Any]) -> set[str]:
    """The names of the options that are paths here."""

    def is_path(kind: click.ParamType[Any], value: Any) -> bool:
        word = isinstance(kind, PathOr) and kind.is_word(value)
        return isinstance(kind, click.Path) and not word

    return {o.name for o in task.options if o.name and is_path(o.type, options.get(o.name))}
