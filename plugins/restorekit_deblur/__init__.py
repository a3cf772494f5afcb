"""Deblurring: the photo is a convolution of a sharp one with a kernel that is known."""

from __future__ import annotations

from collections.abc import Iterable

from restorekit.hookspecs import hookimpl
from restorekit.task import Task


@hookimpl
def restorekit_tasks() -> Iterable[Task]:
    from .task import Deblur

    return [Deblur()]
