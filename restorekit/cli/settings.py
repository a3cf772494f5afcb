"""The user's defaults: TOML files that say what commands take unless they are told otherwise.

The command line goes before a project's file, and that before the user's own; `places` finds both.
Options at the top level are for all that restores photos; a table, as [denoise] or
[benchmark.denoise], is for the command of its name. What measures or trains takes its own tables
alone, so that scores follow from what was said for them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from .. import files
from ..errors import RestorekitError
from ..options import PathOr, typed
from .help import Command, Plain, did_you_mean
from .places import Place, places

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

log = logging.getLogger(__name__)

LARGEST = 1 << 20  # bytes of a file
Section = tuple[str, ...]  # the commands' names; empty at the top level


@dataclass(frozen=True)
class Setting:
    """What a file says of an option.

    Attributes:
        section: whose option; empty for all that restores.
        key: the option as it is typed, without the dashes.
        name: the parameter's, as click has it.
        value: as the file has it; a path from the file's folder.
        file: where it stands.
        shared: the top level may set it too.
    """

    section: Section
    key: str
    name: str
    value: Any
    file: Path
    shared: bool

    @property
    def dotted(self) -> str:
        return ".".join([*self.section, self.key])


class Settings:
    """What the files say, checked against the commands there are.

    Args:
        ctx: of the command line, from which all commands can be reached.

    Attributes:
        effective: what counts; of an option that two files set, the later's.
        notes: what is not wrong, but of no effect.

    Raises:
        RestorekitError: for a file that cannot be read, is no TOML, or says what no command knows.
    """

    def __init__(self, ctx: click.Context) -> None:
        self.root, self.ctx = ctx.find_root().command, ctx.find_root()
        self.notes: list[str] = []
        kept: dict[tuple[Section, str], Setting] = {}
        for place in places():
            if place.refused:
                log.warning("%s: is not read, %s; copy it", place.path, place.refused)
                continue
            if place.kind != "chosen" and not place.there:
                continue
            for found in self._read(place):
                if not found.section:  # for all: what the earlier file has for one gives way
                    same = {k for k, s in kept.items() if s.shared and s.name == found.name}
                    kept = {k: s for k, s in kept.items() if k not in same}
                kept[found.section, found.key] = found
        self.effective = list(kept.values())

    def default_map(self) -> dict[str, Any]:
        """The defaults of every command, as click's contexts take them."""
        if not self.effective:
            return {}
        filled: dict[str, Any] = {}
        for section, command in self._commands():
            names = {p.name for p in command.shared} if isinstance(command, Command) else set()
            said = [s for s in self.effective if not s.section and s.name in names]
            said += [s for s in self.effective if s.section and s.section == section]
            here = filled
            for name in section if said else ():
                here = here.setdefault(name, {})
            here.update({s.name: typed_all(s.value) for s in said})
        return filled

    def _commands(self) -> Iterator[tuple[Section, click.Command]]:
        """Every command that can be configured, groups left out."""

        def below(group: click.Group, section: Section) -> Iterator[tuple[Section, click.Command]]:
            for name in group.list_commands(self.ctx):
                command = group.get_command(self.ctx, name)
                if isinstance(command, click.Group) and not isinstance(command, Plain):
                    yield from below(command, (*section, name))
                elif command is not None and not isinstance(command, Plain):
                    yield (*section, name), command

        assert isinstance(self.root, click.Group)
        return below(self.root, ())

    def _read(self, place: Place) -> Iterator[Setting]:
        try:
            content = tomllib.loads(files.text(place.path, LARGEST))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise RestorekitError(f"{place.path}: is no TOML ({error}); correct it") from error
        shared = {
            p.name: p for _, c in self._commands() if isinstance(c, Command) for p in c.shared
        }
        options = [p for p in shared.values() if isinstance(p, click.Option)]
        top = {key: value for key, value in content.items() if not isinstance(value, dict)}
        yield from self._options(place, (), top, options, options)
        tables = {key: value for key, value in content.items() if key not in top}
        yield from self._tables(place, (), tables, self.root)

    def _tables(
        self, place: Place, above: Section, tables: Mapping[str, Any], group: click.Command
    ) -> Iterator[Setting]:
        """The tables of a group's commands."""
        assert isinstance(group, click.Group)
        for name, content in tables.items():
            section = (*above, name)
            if not isinstance(content, dict):
                example = ".".join([*above, group.list_commands(self.ctx)[0]])
                raise wrong(place, above, name, f"a group takes no options; write [{example}]")
            command = group.get_command(self.ctx, name)
            if command is None:
                if meant := did_you_mean(name, group.list_commands(self.ctx)):
                    raise wrong(place, section, "", f"there is no such command. {meant}")
                what = "no such command is installed, and its table means nothing"
                self.notes.append(f"{place.path}: [{'.'.join(section)}]: {what}")
            elif isinstance(command, Plain):
                raise wrong(place, section, "", "this command takes nothing from a file; delete it")
            elif isinstance(command, click.Group):
                yield from self._tables(place, section, content, command)
            else:
                options = [p for p in command.params if isinstance(p, click.Option)]
                common = command.shared if isinstance(command, Command) else ()
                yield from self._options(place, section, content, options, common)

    def _options(
        self,
        place: Place,
        section: Section,
        content: Mapping[str, Any],
        options: Sequence[click.Option],
        shared: Sequence[click.Parameter],
    ) -> Iterator[Setting]:
        """A table's values, each checked as if it was typed."""
        known = {
            flag.removeprefix("--"): option
            for option in options
            for flag in option.opts
            if flag.startswith("--")
        }
        for key, value in content.items():
            option = known.get(key) or known.get(key.replace("_", "-"))
            if option is None or option.name is None:
                takes = [k for k, o in known.items() if not getattr(o, "once", False)]
                close = get_close_matches(key.replace("_", "-"), takes)
                told = f"Did you mean {' or '.join(close)}?" if close else help_of(section)
                whose = "option of this command" if section else "option that all commands share"
                raise wrong(place, section, key, f"is no {whose}. {told}")
            if getattr(option, "once", False):
                raise wrong(place, section, key, "is for the command line alone; delete it")
            if place.kind == "project" and risky(option, value):
                raise wrong(
                    place,
                    section,
                    key,
                    f"{value!r} could write over files, and a project's file may have come with "
                    "its photos; say it on the command line, or in your own file",
                )
            value = anchored(option, checked(option, value, place, section, key, self.ctx), place)
            common = option in shared
            yield Setting(section, key.replace("_", "-"), option.name, value, place.path, common)


def wrong(place: Place, section: Section, key: str, what: str) -> RestorekitError:
    """What to raise for something in a file, naming it."""
    table = f"[{'.'.join(section)}]" if section else ""
    return RestorekitError(f"{place.path}: {' '.join(filter(None, [table, key]))}: {what}")


def help_of(section: Section) -> str:
    """Where to look up options."""
    return f"See `{' '.join(['restorekit', *(section or ('denoise',))])} --help`."


def risky(option: click.Option, value: Any) -> bool:
    """Whether a project's file must not say so."""
    judge = getattr(option, "risky", None)
    return judge is not None and bool(judge(value))


def checked(
    option: click.Option, value: Any, place: Place, section: Section, key: str, ctx: click.Context
) -> Any:
    """A value that click takes.

    Raises:
        RestorekitError: for one of another type, or out of its range.
    """
    several = option.multiple or option.nargs != 1
    if option.is_flag and not isinstance(value, bool):
        raise wrong(place, section, key, f"{value!r} should be true or false")
    if several and not isinstance(value, list):
        raise wrong(place, section, key, f"{value!r} should be a list, as in ['A', 'B']")
    for each in value if several else [value]:
        if not isinstance(each, bool if option.is_flag else str | int | float):
            raise wrong(place, section, key, f"{each!r} should be text or a number")
        if isinstance(each, bool) and not option.is_flag:
            raise wrong(place, section, key, "takes a value, not true or false")
    try:
        option.type_cast_value(ctx, typed_all(value))
    except click.BadParameter as error:
        raise wrong(place, section, key, error.message) from error
    return value


def typed_all(value: Any) -> Any:
    """A value, or a list of them, as typed; flags stay as they are."""
    if isinstance(value, list):
        return [typed(each) for each in value]
    return value if isinstance(value, bool) else typed(value)


def anchored(option: click.Option, value: Any, place: Place) -> Any:
    """The same, with paths from the file's folder, wherever the command is run; ~ is the home."""
    if isinstance(value, list):
        return [anchored(option, each, place) for each in value]
    kind = option.type
    if not isinstance(kind, click.Path) or (isinstance(kind, PathOr) and kind.is_word(value)):
        return value
    with suppress(RuntimeError):  # nobody's home
        value = str(Path(value).expanduser())
    folder = place.path.absolute().parent
    return value if folder == Path.cwd() else str(folder / value)
