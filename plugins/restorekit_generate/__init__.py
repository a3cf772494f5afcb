"""Generation: restoring a photo of which nothing is known."""

from __future__ import annotations

from collections.abc import Iterable

from restorekit.hookspecs import hookimpl
from restorekit.task import Task


@hookimpl
def restorekit_tasks() -> Iterable[Task]:
    from .task import Generate

    return [Generate()]
