"""The core's own methods, samplers, priors and metrics, through the same hooks as everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .hookspecs import hookimpl

if TYPE_CHECKING:
    from .engine.conditioning import Method
    from .engine.sampler import Step
    from .metrics import Metric


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
def restorekit_metrics() -> Mapping[str, Metric]:
    from .metrics import METRICS

    return METRICS
