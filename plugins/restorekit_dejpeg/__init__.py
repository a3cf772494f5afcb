"""Removing what JPEG did: the true picture lies in the cells of the file's coefficients."""

from __future__ import annotations

from collections.abc import Iterable

from restorekit.hookspecs import hookimpl
from restorekit.task import Task


@hookimpl
def restorekit_tasks() -> Iterable[Task]:
    from .task import Dejpeg

    return [Dejpeg()]
