"""`restorekit plugins`: what is installed, what it offers, and whether it works."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from .. import plugins
from ..admission import KINDS
from ..distributions import VARIABLE
from ..errors import RestorekitError
from ..guard import guarded, reason
from ..plugins import Plugin
from .common import json_text, shown
from .help import PlainCommand

HEADS = ("plugin", "distribution", "version", "load", "health", "offers")


@dataclass
class Tried:
    """What came of trying what a plugin offers.

    Attributes:
        passed: what is as it should be.
        faults: of what is not; why, in words.
        left: what could not be tried, and why.
    """

    passed: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@click.command("list", cls=PlainCommand)
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
        name = min(missing)
        if name in plugins.kept_out():
            raise RestorekitError(
                f"plugin {name!r} is installed, and not let in: {VARIABLE} names others"
            )
        raise RestorekitError(f"plugin {name!r} is not installed; see `restorekit plugins`")
    checks = [tried(plugin) if check else Tried() for plugin in found]
    both = list(zip(found, checks, strict=True))
    if as_json:
        click.echo(json_text([described(*one) for one in both]))
    else:
        rows = [HEADS, *(row for one in both for row in rows_of(*one))]
        for line in aligned(rows):
            click.echo(shown(line))
    if any(plugin.problem or check.faults for plugin, check in both):
        raise click.exceptions.Exit(1)


def described(plugin: Plugin, check: Tried) -> dict[str, Any]:
    """A plugin, ready for JSON."""
    return {
        "name": plugin.name,
        "package": plugin.package,
        "version": plugin.version,
        "hooks": sorted(plugin.hooks),
        **{f"{kind}s": list(plugin.offers.get(kind, ())) for kind in KINDS},
        "seconds": round(plugin.seconds, 4),
        "problem": plugin.problem or next(iter(check.faults), ""),
        "notes": plugin.notes,
        "checks": vars(check),
    }


def rows_of(plugin: Plugin, check: Tried) -> Iterator[Sequence[str]]:
    """A plugin's lines in the table: one at least, and one for each thing to tell."""
    told = [plugin.problem] if plugin.problem else []
    told += check.faults + check.left
    told += [
        f"{kind}{'s' * (len(names) > 1)} {', '.join(names)}"
        for kind in KINDS
        if (names := plugin.offers.get(kind))
    ]
    if "restorekit_open_prior" in plugin.hooks:
        told.append("opens priors")
    told += plugin.notes
    health = health_of(plugin, check)
    load = f"{plugin.seconds:.2f} s"
    yield plugin.name, plugin.package, plugin.version, load, health, told[0] if told else ""
    for more in told[1:]:
        yield "", "", "", "", "", more


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines, with their columns one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def health_of(plugin: Plugin, check: Tried) -> str:
    """In a word: sound is what was read without a fault, checked what was also tried."""
    if plugin.problem or check.faults:
        return "BROKEN"
    if check.left:
        return "unchecked"
    return "checked" if check.passed else "sound"


def tried(plugin: Plugin) -> Tried:
    """Tries all that a plugin offers."""
    from .. import testing
    from ..loading import find_prior

    found = Tried()
    for kind in KINDS:
        check = getattr(testing, f"check_{kind}", None)
        if check is None:  # as of finders
            continue
        for name, thing in plugin.offers.get(kind, {}).items():
            what = f"{kind} {name!r}"
            try:
                with guarded(f"check of {what}"):
                    check(find_prior(name) if kind == "prior" else thing)
                found.passed.append(f"{kind} {name}")
            except RestorekitError as error:
                cause = error.__cause__
                if isinstance(cause, testing.NeedsOptions):
                    found.left.append(f"not checked: {cause}")
                elif isinstance(cause, AssertionError) and str(cause):
                    found.faults.append(f"{what} fails its check: {reason(cause)}")
                else:
                    found.faults.append(str(error))
    return found
