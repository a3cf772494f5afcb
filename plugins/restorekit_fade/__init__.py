"""Faded prints: dyes lose density by a factor, and what is left of it can be given back."""

from __future__ import annotations

from collections.abc import Iterable

from restorekit.hookspecs import hookimpl
from restorekit.task import Task


@hookimpl
def restorekit_tasks() -> Iterable[Task]:
    from .task import Fade

    return [Fade()]
