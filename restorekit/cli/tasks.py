"""Every task's own command, made from what the task says of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import plugins
from ..errors import RestorekitError
from ..given import resolve
from ..options import FILES, FOLDERS, RESEARCH
from ..task import Task
from .common import choices_from, common_options
from .files import (
    file_options,
    folder_options,
    inputs_argument,
    output_option,
    restore_files,
    samples_option,
)
from .help import Command, Group
from .preview import preview_options, previewed

if TYPE_CHECKING:
    from ..chain import Chain


def task_command(task: Task) -> click.Command:
    """`restorekit TASK INPUT... -o OUTPUT`."""
    files, folders = file_options(), folder_options() if task.takes_photo else []
    trying = preview_options() if task.takes_photo else []

    def command(**values: Any) -> None:
        given: tuple[Path, ...] = values.pop("inputs", ())
        target, samples = values.pop("output"), values.pop("samples")
        how = {option.name: values.pop(option.name) for option in [*files, *folders] if option.name}
        part = {option.name: values.pop(option.name) for option in trying if option.name}
        chain = chain_of(task, samples, values)
        spec = previewed(chain, given, samples, **part) if part else chain
        restore_files(spec, chain.links[0].choices.device, given, target, samples, **how)

    return Command(
        task.name,
        own=[
            *([inputs_argument()] if task.takes_photo else []),
            output_option(),
            *task.options,
            *trying,
        ],
        shared={
            FILES: files,
            FOLDERS: folders,
            RESEARCH: [*common_options(task), samples_option()],
        },
        callback=command,
        help=task.summary,
        short_help=task.summary,
    )


def chain_of(task: Task, samples: int, values: dict[str, Any]) -> Chain:
    """What a command line asks of a task: `values` of its own options and the common ones.

    Raises:
        RestorekitError: for values that do not go together.
    """
    from ..chain import alone

    if samples > 1 and values["mode"] == "fidelity":
        raise RestorekitError("--samples needs --mode perceptual; fidelity has one answer")
    choices = choices_from(values, "perceptual" if samples > 1 else "fidelity")
    return alone(task, choices, resolve(task, values))


class TaskCommands(Group):
    """A group whose further commands are the installed tasks."""

    def __init__(self, make: Callable[[Task], click.Command], **settings: Any) -> None:
        super().__init__(**settings)
        self.make = make

    def list_commands(self, ctx: click.Context) -> list[str]:
        own = super().list_commands(ctx)
        return [*sorted(set(plugins.registry().tasks) - set(own)), *own]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        task = plugins.registry().tasks.get(cmd_name)
        return None if task is None else self.make(task)

    def hint(self, name: str) -> str:
        return plugins.registry().hint(name)
