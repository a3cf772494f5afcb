"""What the core itself offers, through the same hooks as everybody's plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .hookspecs import hookimpl

if TYPE_CHECKING:
    from .engine.conditioning import Method
    from .engine.sampler import Step
    from .metrics import Metric
    from .priors import Prior
    from .task import Finding, Picture


@hookimpl
def restorekit_methods() -> Mapping[str, Method]:
    from .engine.conditioning import METHODS
    from .engine.quantised import quantised

    return {**METHODS, "quantised": quantised}


@hookimpl
def restorekit_samplers() -> Mapping[str, Step]:
    from .engine.sampler import STEPS

    return STEPS


@hookimpl
def restorekit_priors() -> Mapping[str, Path]:
    from .priors import shipped

    return shipped()


@hookimpl
def restorekit_open_prior(path: Path) -> Prior | None:
    from .priors import opened

    return opened(path)


@hookimpl
def restorekit_metrics() -> Mapping[str, Metric]:
    from .metrics import METRICS

    return METRICS


@hookimpl
def restorekit_finders() -> Mapping[str, Callable[[Picture], Iterable[Finding]]]:
    from . import looks

    return {"size": looks.size, "sharpness": looks.sharpness}
