"""Denoising: a noisy photo already is a diffusion state, at the time its noise level says."""

from __future__ import annotations

from collections.abc import Iterable

from restorekit.hookspecs import hookimpl
from restorekit.task import Task


@hookimpl
def restorekit_tasks() -> Iterable[Task]:
    from .task import Denoise

    return [Denoise()]
