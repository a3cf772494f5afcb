"""`restorekit config`: which defaults the user's files set, and where those files are."""

from __future__ import annotations

import json

import click

from .common import json_text, shown
from .help import PlainGroup


@click.group("config", cls=PlainGroup)
def config() -> None:
    """Your own defaults, and the files they are in."""


@config.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Every option that a file sets, and which file."""
    from .settings import Settings

    settings = Settings(ctx)
    for note in settings.notes:
        click.echo(shown(note), err=True)
    rows = [
        {"option": setting.dotted, "value": setting.value, "file": str(setting.file)}
        for setting in settings.effective
    ]
    if as_json:
        click.echo(json_text(rows))
        return
    if not rows:
        click.echo("no file sets anything; `restorekit config path` says where they are", err=True)
    for row in rows:
        said = f"{row['option']} = {json.dumps(row['value'], ensure_ascii=False)}"
        click.echo(shown(f"{said:40}  {row['file']}"))


@config.command("path")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def path(as_json: bool) -> None:
    """The files that are looked at; a later one goes before an earlier one."""
    from .places import VARIABLE, places

    found = places()
    if as_json:
        rows = [{"kind": p.kind, "path": str(p.path), "exists": p.there} for p in found]
        click.echo(json_text(rows))
        return
    if not found:
        click.echo(f"none: {VARIABLE} is empty", err=True)
    for place in found:
        state = f"not read: {place.refused}" if place.refused else "" if place.there else "no file"
        click.echo(shown(f"{place.kind:8} {place.path}  {state}".rstrip()))
