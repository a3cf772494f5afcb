"""The conformance kit, for plugin authors and for us: what others may expect, as checks.

Every check raises AssertionError with a sentence that says what was expected and what came
instead; they work under any test runner, and take seconds.
"""

from __future__ import annotations

from .gaussian import GaussianPrior, dense, dense_noise
from .installing import installed
from .methods import check_method
from .metrics import check_metric
from .operators import check_operator
from .priors import check_prior
from .runs import NeedsOptions
from .samplers import check_sampler
from .tasks import check_task

__all__ = [
    "GaussianPrior",
    "NeedsOptions",
    "check_method",
    "check_metric",
    "check_operator",
    "check_prior",
    "check_sampler",
    "check_task",
    "dense",
    "dense_noise",
    "installed",
]
