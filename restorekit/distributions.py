"""What is installed: the packages that entry points came with, and which of them are let in."""

from __future__ import annotations

import contextlib
import functools
import logging
import re
from collections.abc import Sequence
from importlib.metadata import Distribution, EntryPoint, version
from typing import NamedTuple

GROUP = "restorekit"  # of entry points; our own package's name, too
VARIABLE = "RESTOREKIT_PLUGINS"  # which strangers are let in: their names, and commas
log = logging.getLogger(__name__)


class Package(NamedTuple):
    """What a distribution says of itself; question marks, where half of it was deleted."""

    name: str = "?"
    version: str = "?"
    requires: Sequence[str] = ()


@functools.cache  # as a package has several entry points, and its description may be long
def about(package: Distribution | None) -> Package:
    """The package that an entry point came with."""
    said = None
    with contextlib.suppress(OSError, UnicodeError):  # told as a note of the plugin
        said = package and package.metadata
    if not said:
        return Package()
    return Package(said["Name"] or "?", said["Version"] or "?", said.get_all("Requires-Dist") or ())


def package_of(point: EntryPoint) -> str:
    """The name of its package."""
    return about(point.dist).name


@functools.cache
def own_version() -> str:
    """Of restorekit, as it was installed."""
    return version(GROUP)


def chosen(points: Sequence[EntryPoint], said: str | None) -> list[EntryPoint]:
    """Of all entry points ours, and those that a list names by their own name or their package's.

    Args:
        said: names and commas; None: all are wanted.
    """
    if said is None:
        return list(points)

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name.strip()).lower()

    wanted = {plain(name): name.strip() for name in said.split(",") if name.strip()}
    names = {point: {plain(point.name), plain(package_of(point))} for point in points}
    strangers = [point for point in points if package_of(point) != GROUP]
    for name in wanted.keys() - {name for point in strangers for name in names[point]}:
        there = ", ".join(sorted({package_of(point) for point in strangers})) or "none"
        log.warning(
            "%s names %r, which is not installed; there is: %s", VARIABLE, wanted[name], there
        )
    return [p for p in points if package_of(p) == GROUP or names[p] & wanted.keys()]
