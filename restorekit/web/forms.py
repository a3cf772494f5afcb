"""Forms of commands' own options: described for the page, and read as a command line is."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ..errors import RestorekitError
from ..options import HEADINGS, MaskPath, PathOr

Values = Mapping[str, Any]  # of a form: text, true or false, or a list of text


@dataclass(frozen=True)
class Form:
    """A command whose parameters are a form, and which returns what is asked for.

    Args:
        command: options alone; its callback returns something for this package.
        title: as people read it.
        heading_of: under which heading a parameter is shown.
        defaults: of the user's files, as click's contexts take them.
    """

    command: click.Command
    title: str
    heading_of: Callable[[click.Parameter], str]
    defaults: Mapping[str, Any]

    @property
    def options(self) -> list[click.Option]:
        """Those that are shown; what belongs on a command line alone is not."""
        return [
            parameter
            for parameter in self.command.params
            if isinstance(parameter, click.Option)
            and not parameter.hidden
            and not getattr(parameter, "once", False)
        ]

    def described(self) -> dict[str, Any]:
        """Ready for JSON; the plainest options first."""
        ctx = self._context([])
        fields = [{"heading": self.heading_of(o), **field_of(o, ctx)} for o in self.options]
        order = {heading: number for number, heading in enumerate(HEADINGS)}
        fields.sort(key=lambda field: order.get(field["heading"], len(order)))
        help_ = (self.command.help or "").strip().splitlines() or [""]
        return {
            "name": self.command.name,
            "title": self.title,
            "help": help_[0],
            "fields": fields,
        }

    def read(self, values: Values, file: Callable[[str], Path]) -> Any:
        """What a command makes of a form's values.

        Args:
            values: by the options' names; what is missing or empty is left to its default.
            file: the path of what the page calls a file.

        Raises:
            RestorekitError: for an option that is not shown, or a value that click refuses.
        """
        shown = {option.name or "": option for option in self.options}
        if unknown := set(values) - set(shown):
            raise RestorekitError(f"{self.command.name} has no option {min(unknown)!r}")
        words = [word for name, value in values.items() for word in typed(shown[name], value, file)]
        try:
            with self._context(words) as ctx:
                return self.command.invoke(ctx)
        except click.ClickException as error:
            raise RestorekitError(" ".join(error.format_message().split())) from error

    def _context(self, words: list[str]) -> click.Context:
        return self.command.make_context(
            self.command.name, words, default_map=dict(self.defaults), resilient_parsing=not words
        )


def typed(option: click.Option, value: Any, file: Callable[[str], Path]) -> list[str]:
    """An option's value as the words of a command line.

    Raises:
        RestorekitError: for a value of another kind than the form has, or a file elsewhere.
    """
    name = max(option.opts, key=len)
    if value is None or value in ("", []):
        return []
    if option.is_flag and not option.multiple:
        if not isinstance(value, bool):
            raise RestorekitError(f"{name} is yes or no, and not {value!r}")
        off = option.secondary_opts
        return [name] if value else [max(off, key=len)] if off else []
    given = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in given) or (len(given) > 1 and not option.multiple):
        raise RestorekitError(f"{name} takes text, and not {value!r}")
    if option.nargs != 1:
        return [word for each in given for word in (name, *shlex.split(each))]
    return [f"{name}={checked(option.type, each, file)}" for each in given]


def checked(kind: click.ParamType[Any], text: str, file: Callable[[str], Path]) -> str:
    """Text for a type; what is a path is one of the folder's."""
    if isinstance(kind, click.File):
        raise RestorekitError("files that are streams cannot be named here; use the command line")
    word = isinstance(kind, PathOr) and kind.is_word(text)
    return str(file(text)) if isinstance(kind, click.Path) and not word else text


def field_of(option: click.Option, ctx: click.Context) -> dict[str, Any]:
    """What the page has to know to show an option."""
    kind = option.type
    default = option.get_default(ctx)
    plain = default if isinstance(default, str | int | float | bool) else None
    field: dict[str, Any] = {
        "name": option.name,
        "label": max(option.opts, key=len).lstrip("-").replace("-", " "),
        "help": option.help or "",
        "kind": kind_of(option),
        "default": plain,
        "multiple": option.multiple,
        "hint": option.make_metavar(ctx),
        "words": list(kind.words) if isinstance(kind, PathOr) else [],
    }
    if isinstance(kind, click.Choice):
        field["choices"] = [str(choice) for choice in kind.choices]
    if isinstance(kind, click.IntRange | click.FloatRange):
        field |= {"min": kind.min, "max": kind.max}
    return field


KINDS: Sequence[tuple[type, str]] = (
    (MaskPath, "mask"),
    (click.Path, "file"),
    (click.Choice, "choice"),
    (click.IntRange, "whole"),
    (click.FloatRange, "number"),
    (type(click.INT), "whole"),
    (type(click.FLOAT), "number"),
)


def kind_of(option: click.Option) -> str:
    """What shows it: a box to tick, a choice, a number, a file's name, a mask to paint, or text."""
    if option.is_flag and not option.multiple:
        return "flag"
    if option.multiple or option.nargs != 1:
        return "text"
    return next((name for kind, name in KINDS if isinstance(option.type, kind)), "text")
