"""Inpainting: some pixels are unknown, the others stay as they are, to the bit."""

from __future__ import annotations

from collections.abc import Iterable

from restorekit.hookspecs import hookimpl
from restorekit.task import Task


@hookimpl
def restorekit_tasks() -> Iterable[Task]:
    from .task import Inpaint

    return [Inpaint()]
