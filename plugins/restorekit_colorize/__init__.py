"""Colour for black-and-white photos, whose luminance is what was measured."""

from __future__ import annotations

from collections.abc import Iterable

from restorekit.hookspecs import hookimpl
from restorekit.task import Task


@hookimpl
def restorekit_tasks() -> Iterable[Task]:
    from .task import Colorize

    return [Colorize()]
