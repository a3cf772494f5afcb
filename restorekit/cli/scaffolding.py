"""`restorekit plugins`, which lists unless told otherwise, and `restorekit plugins new`."""

from __future__ import annotations

from pathlib import Path

import click

from .. import plugins, scaffold
from ..errors import RestorekitError
from .common import PATH, shown
from .help import PlainCommand, PlainGroup
from .installed import list_plugins


@click.command("new", cls=PlainCommand)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(scaffold.KINDS),
    default="task",
    show_default=True,
    help="What it is to offer.",
)
@click.option(
    "-o",
    "--output",
    type=PATH,
    help="Folder to make; restorekit-NAME by default.",
    metavar="FOLDER",
)
@click.pass_context
def new_plugin(ctx: click.Context, name: str, kind: str, output: Path | None) -> None:
    """Write a package that works, with tests that pass, to change into your own plugin."""
    root = ctx.find_root().command
    taken = set(plugins.registry().offered(kind))
    if kind == "task" and isinstance(root, click.Group):
        taken |= set(root.list_commands(ctx))
    if name in taken:
        raise RestorekitError(f"the name {name!r} is taken already; choose another")
    folder = output or Path(f"restorekit-{name}")
    for path in scaffold.new_package(name, kind, folder):
        click.echo(shown(path))


class Listing(PlainGroup):
    """A group that lists where no command is named: `restorekit plugins --json NAME`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


plugins_group = Listing(
    "plugins",
    commands=[list_plugins, new_plugin],
    help="""List the installed plugins, or write a new one.

    Without a command it lists, and takes what `plugins list` takes: `restorekit plugins [--check]
    [--json] [NAME]...`.
    """,
)
