"""`restorekit plugins`: what is installed, what it offers, and whether it works."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from .. import plugins
from ..admission import KINDS
from ..errors import RestorekitError
from ..guard import guarded
from ..plugins import Plugin
from .common import json_text, shown
from .help import PlainCommand

HEADS = ("plugin", "distribution", "version", "load", "health", "offers")


@click.command("plugins", cls=PlainCommand)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--check", is_flag=True, help="Try all that they offer, which may take minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_plugins(names: tuple[str, ...], check: bool, as_json: bool) -> None:
    """The installed plugins, what they offer, and which are broken.

    All, or those of these names or distributions. The environment variable RESTOREKIT_PLUGINS says
    which of them, besides those that come with restorekit, are let in: names and commas. Exit code
    1: one is broken.
    """
    found = [
        p for p in plugins.registry().examined() if not names or {p.name, p.package} & {*names}
    ]
    if missing := set(names) - {name for p in found for name in (p.name, p.package)}:
        raise RestorekitError(f"plugin {min(missing)!r} is not installed; see `restorekit plugins`")
    if check:
        for plugin in found:
            tried(plugin)
    if as_json:
        click.echo(json_text([described(plugin) for plugin in found]))
    else:
        rows = [HEADS, *(row for plugin in found for row in rows_of(plugin))]
        for line in aligned(rows):
            click.echo(shown(line))
    if any(plugin.problem for plugin in found):
        raise click.exceptions.Exit(1)


def described(plugin: Plugin) -> dict[str, Any]:
    """A plugin, ready for JSON."""
    return {
        "name": plugin.name,
        "package": plugin.package,
        "version": plugin.version,
        "hooks": sorted(plugin.hooks),
        **{f"{kind}s": list(plugin.offers.get(kind, ())) for kind in KINDS},
        "seconds": round(plugin.seconds, 4),
        "problem": plugin.problem,
        "notes": plugin.notes,
    }


def rows_of(plugin: Plugin) -> Iterator[Sequence[str]]:
    """A plugin's lines in the table: one at least, and one for each thing to tell."""
    told = [plugin.problem] if plugin.problem else []
    told += [
        f"{kind}{'s' * (len(names) > 1)} {', '.join(names)}"
        for kind in KINDS
        if (names := plugin.offers.get(kind))
    ]
    told += plugin.notes
    health = "BROKEN" if plugin.problem else "sound"
    load = f"{plugin.seconds:.2f} s"
    yield plugin.name, plugin.package, plugin.version, load, health, told[0] if told else ""
    for more in told[1:]:
        yield "", "", "", "", "", more


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines, with their columns one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def tried(plugin: Plugin) -> None:
    """Tries all that a plugin offers; what fails first is its problem."""
    from .. import testing
    from ..loading import find_prior

    for kind in KINDS:
        check = getattr(testing, f"check_{kind}", None)
        if check is None:  # as of finders
            continue
        for name, thing in plugin.offers.get(kind, {}).items():
            try:
                with guarded(f"check of {kind} {name!r}"):
                    check(find_prior(name) if kind == "prior" else thing)
            except RestorekitError as error:
                plugin.problem = plugin.problem or str(error)
