"""The whole plugin API. A plugin is a package with an entry point in the group `restorekit`:

    [project.entry-points.restorekit]
    mine = "my_package"

whose module implements any of these hooks with `@restorekit.hookspecs.hookimpl`. Heavy imports
belong inside functions: `restorekit --help` asks for tasks, and must not wait for torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from .engine.conditioning import Method
    from .engine.sampler import Step
    from .metrics import Metric
    from .priors import Prior
    from .task import Finding, Picture, Task

# `restorekit.__api__`: raised where a plugin that relied on docs/stability.md may break. A plugin's
# module that says `restorekit_api = 1` is refused by another; (1, 2) works with either.
API = 1

hookspec = pluggy.HookspecMarker("restorekit")
hookimpl = pluggy.HookimplMarker("restorekit")


@hookspec
def restorekit_tasks() -> Iterable[Task]:  # type: ignore[empty-body]
    """Tasks: each becomes a command and a name for `restorekit.restore`."""


@hookspec
def restorekit_methods() -> Mapping[str, Method]:  # type: ignore[empty-body]
    """Methods, by the name that `--method` takes: (denoiser, observation) -> denoiser.

    Keyword-only parameters with a default are options, which `--with` sets (see `parameters`), and
    attributes of the function tell what it is like (see `engine.declared`); so for samplers.
    """


@hookspec
def restorekit_samplers() -> Mapping[str, Step]:  # type: ignore[empty-body]
    """Step functions, by the name that `--sampler` takes: see `engine.sampler.Step`."""


@hookspec
def restorekit_priors() -> Mapping[str, Path | Prior]:  # type: ignore[empty-body]
    """Priors, or the files or folders they are in, by the name that `--prior` takes."""


@hookspec(firstresult=True)
def restorekit_open_prior(path: Path) -> Prior | None:
    """The prior that lies at a path, in a file or a folder, which is there. None: no kind that this
    plugin knows. The first to know it has it; one that raises is passed over."""


@hookspec
def restorekit_metrics() -> Mapping[str, Metric]:  # type: ignore[empty-body]
    """Metrics, by the name of their column: (restored, reference, data_range) -> float; without a
    reference, and the higher not the better, where they say so: see `metrics.Traits`."""


@hookspec
def restorekit_finders() -> Mapping[str, Callable[[Picture], Iterable[Finding]]]:  # type: ignore[empty-body]
    """What `restorekit diagnose` tells that no task mends, by name; tasks have `Task.find`."""
