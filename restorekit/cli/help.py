"""Help for people: options under headings, `restorekit help`, and names that are close."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..options import HEADINGS, WHAT, Option

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Command(click.Command):
    """A command whose help has headings.

    Args:
        own: its arguments, and the options that no other command has.
        shared: options by heading, which all that restores has; the top level of a configuration
            file sets them for every command.

    An option's own heading, where it names one, goes before that of its list.
    """

    def __init__(
        self,
        name: str,
        own: Sequence[click.Parameter],
        shared: Mapping[str, Sequence[click.Parameter]] | None = None,
        **settings: Any,
    ) -> None:
        lists = {WHAT: own, **(shared or {})}
        super().__init__(name, params=[p for listed in lists.values() for p in listed], **settings)
        self.shared = [p for listed in (shared or {}).values() for p in listed]
        self.listed = {id(p): heading for heading, listed in lists.items() for p in listed}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leaves out what a configuration file says where what was typed excludes it."""
        rest = super().parse_args(ctx, args)
        sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
        typed = {n: v for n, v in ctx.params.items() if sources[n] is ParameterSource.COMMANDLINE}
        for option in self.params:
            configured = sources.get(option.name or "") is ParameterSource.DEFAULT_MAP
            if configured and isinstance(option, Option) and option.gives_way(typed):
                alone = click.Command(None, params=[option], add_help_option=False)
                ctx.params |= alone.make_context(None, [], resilient_parsing=True).params
        return rest

    def heading_of(self, parameter: click.Parameter) -> str:
        """Under which heading a parameter is told of."""
        said: str | None = getattr(parameter, "heading", None)
        return said or self.listed.get(id(parameter), WHAT)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes every option under its heading, the plainest first."""
        found: dict[str, list[tuple[str, str]]] = {heading: [] for heading in HEADINGS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                found.setdefault(self.heading_of(parameter), []).append(record)
        for heading, records in found.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


class Group(click.Group):
    """Commands, of which close names are told where there is none of the name that was given."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        option = args[0].startswith("-")
        if not (option or ctx.resilient_parsing) and self.get_command(ctx, args[0]) is None:
            meant = did_you_mean(args[0], self.list_commands(ctx))
            told = meant or f"See `{ctx.command_path} --help`."
            raise click.UsageError(f"No such command {args[0]!r}{self.hint(args[0])}. {told}", ctx)
        return super().resolve_command(ctx, args)

    def hint(self, name: str) -> str:
        """Why a command of a name may be missing."""
        return ""


class Plain:
    """A command about the program itself, which no configuration file changes."""


class PlainCommand(Plain, click.Command):
    """Such a command."""


class PlainGroup(Plain, Group):
    """A group of them."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that names what is close; empty, where nothing is."""
    from difflib import get_close_matches

    close = [f"'{other}'" for other in get_close_matches(name, list(known))]
    return f"Did you mean {' or '.join(close)}?" if close else ""


def names_of_commands(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """What may follow `restorekit help` and the names after it, for shells."""
    from click.shell_completion import CompletionItem

    command: click.Command | None = ctx.find_root().command
    for word in ctx.params.get(parameter.name or "") or ():
        command = command.get_command(ctx, word) if isinstance(command, click.Group) else None
    names = command.list_commands(ctx) if isinstance(command, click.Group) else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command("help", cls=PlainCommand)
@click.argument("commands", nargs=-1, metavar="[COMMAND]...", shell_complete=names_of_commands)
@click.pass_context
def show_help(ctx: click.Context, commands: tuple[str, ...]) -> None:
    """Say what a command does; the same as COMMAND --help."""
    root = ctx.find_root()
    root.command.main([*commands, "--help"], prog_name=root.info_name, standalone_mode=False)
