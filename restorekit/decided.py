"""What a restoration is made of: a task's recipe, its user's choices, and all that both name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import parameters, plugins
from .choices import EFFORTS, PRECISIONS, Choices
from .engine.conditioning import Method
from .engine.sampler import Step
from .errors import RestorekitError
from .loading import find_prior
from .options import MOST_STEPS
from .priors import Prior
from .task import MODES, Recipe, Task


@dataclass(frozen=True)
class Decided:
    """A recipe to follow.

    Attributes:
        prior_name: as it was asked for: a name or a path.
        method, step: with their options bound.
        tuning: of the method, the sampler and the prior, by kind and name; see `parameters`.
        before: the choices of the restoration whose result is refined, if one is.
    """

    recipe: Recipe
    prior_name: str
    prior: Prior
    method: Method
    step: Step
    tuning: Mapping[str, Mapping[str, Any]]
    before: Choices | None = None


def decided(task: Task, choices: Choices, options: Mapping[str, Any]) -> Decided:
    """Makes the choices, and finds what is named; nothing is loaded.

    Args:
        options: the task's, resolved, where they decide which prior it works with.

    Raises:
        RestorekitError: for a choice that cannot be, or an unknown name.
    """
    check(task, choices)
    recipe = task.recipes[choices.mode]
    if choices.effort == "low":
        recipe = recipe.with_less()
    own = recipe.prior or task.prior_for(options)
    given = own if choices.prior is None else choices.prior
    name = given if isinstance(given, str) else given.name
    prior = find_prior(given)
    if choices.mode in prior.recipes:
        recipe = prior.recipes[choices.mode]
        recipe = recipe.with_less() if choices.effort == "low" else recipe
    elif choices.method is None and choices.sampler is None:
        recipe = recipe.for_prior(prior.unfolded)
    names = "method", "sampler", "steps", "travel"
    chosen = {n: value for n in names if (value := getattr(choices, n)) is not None}
    recipe = dataclasses.replace(recipe, **chosen)
    method = plugins.registry().find("method", recipe.method)
    step = plugins.registry().find("sampler", recipe.sampler)
    tuning = parameters.dealt(
        choices.tuning,
        {
            "method": (recipe.method, method),
            "sampler": (recipe.sampler, step),
            "prior": (name, prior.load),
        },
    )
    before = None
    if recipe.refines:
        plain: dict[str, Any] = dict.fromkeys(names)
        own_of_prior = {f"prior.{n}": value for n, value in tuning["prior"].items()}
        before = dataclasses.replace(
            choices, mode=recipe.refines, prior=given, tuning=own_of_prior, **plain
        )
    return Decided(
        recipe,
        name,
        prior,
        parameters.bound(method, tuning["method"]),
        parameters.bound(step, tuning["sampler"]),
        tuning,
        before,
    )


def check(task: Task, choices: Choices) -> None:
    """Raises RestorekitError for a choice that no task has, or not this one."""
    if choices.mode not in MODES:
        raise RestorekitError(f"mode {choices.mode!r} is unknown; use {' or '.join(MODES)}")
    if choices.precision not in PRECISIONS:
        raise RestorekitError(f"precision must be one of {', '.join(PRECISIONS)}")
    if choices.effort not in EFFORTS:
        raise RestorekitError(f"effort {choices.effort!r} is unknown; use {', '.join(EFFORTS)}")
    if choices.steps is not None and not 1 <= choices.steps <= MOST_STEPS:
        raise RestorekitError(f"steps is {choices.steps}; give 1 to {MOST_STEPS}")
    if choices.travel is not None and not all(1 <= n <= MOST_STEPS for n in choices.travel):
        raise RestorekitError(f"travel is {choices.travel}; give (length, repeats) from 1 on")
    if choices.mode not in task.recipes:
        raise RestorekitError(f"task {task.name!r} has no mode {choices.mode!r}")
