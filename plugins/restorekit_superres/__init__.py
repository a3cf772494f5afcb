"""Super-resolution: the photo is what bicubic reduction made of a larger one."""

from __future__ import annotations

from collections.abc import Iterable

from restorekit.hookspecs import hookimpl
from restorekit.task import Task


@hookimpl
def restorekit_tasks() -> Iterable[Task]:
    from .task import SuperResolution

    return [SuperResolution()]
