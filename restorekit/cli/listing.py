"""`restorekit methods` and `restorekit samplers`: what there is, and its options."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from .. import plugins
from .common import json_text, shown
from .help import PlainCommand


def described(function: Callable[..., Any], traits: Any) -> dict[str, Any]:
    """A method or a step as a report has it."""
    from ..parameters import summary_of

    options = options_of(function)
    return {"summary": summary_of(function), "traits": vars(traits), "options": options}


def options_of(function: Callable[..., Any]) -> list[dict[str, Any]]:
    """What may be set of a function, as a report has it."""
    from ..parameters import of

    return [
        {
            "name": option.name,
            "type": option.kind.__name__,
            "default": option.default,
            "least": None if math.isinf(option.range.least) else option.range.least,
            "most": None if math.isinf(option.range.most) else option.range.most,
            "help": option.help,
        }
        for option in of(function).values()
    ]


def show(offered: dict[str, dict[str, Any]], as_json: bool) -> None:
    """Prints what was described, by name."""
    if as_json:
        click.echo(json_text(offered))
        return
    for name, about in offered.items():
        asked = about["traits"].get("evaluations", 1)
        cost = f" {asked} evaluations a step." if asked > 1 else ""
        click.echo(shown(f"{name:12} {about['summary']}{cost}"))
        show_options(about["options"])


def show_options(options: list[dict[str, Any]]) -> None:
    """A line for each, as --with takes it."""
    for option in options:
        ends = [option["least"], option["most"]]
        limits = "" if None in ends else f" ({ends[0]:g} to {ends[1]:g})"
        said = f"{option['name']}={option['default']}"
        click.echo(shown(f"{'':12}   {said:14} {option['help']}{limits}"))


@click.command("methods", cls=PlainCommand)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def methods(as_json: bool) -> None:
    """How a photo may condition the prior (--method), with the options that --with sets."""
    from ..engine.declared import of_method

    found = plugins.registry().offered("method")
    show({name: described(f, of_method(f)) for name, f in sorted(found.items())}, as_json)


@click.command("samplers", cls=PlainCommand)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def samplers(as_json: bool) -> None:
    """The reverse steps there are (--sampler), with the options that --with sets."""
    from ..engine.declared import of_step

    found = plugins.registry().offered("sampler")
    show({name: described(f, of_step(f)) for name, f in sorted(found.items())}, as_json)
