"""What functions of plugins must give, checked where they give it: a fault is told as theirs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from . import plugins
from .engine.declared import layers
from .engine.denoiser import Denoiser, Prediction, WrongAnswer, answered
from .engine.sampler import Step
from .engine.wrappers import Wrapper
from .errors import RestorekitError


def whose(kind: str, name: str) -> str:
    """How a message names something that a plugin offers: with the plugin, where it is not ours."""
    owner = plugins.registry().owner(kind, name)
    by = "" if owner is None or owner.ours else f"{owner}: "
    return f"{by}{kind} {name!r}"


@contextlib.contextmanager
def told(who: str) -> Iterator[None]:
    """Makes a wrong answer within a RestorekitError that says whose it is."""
    try:
        yield
    except WrongAnswer as error:
        raise RestorekitError(f"{who} {error}") from error


class Answering(Wrapper):
    """A denoiser whose answers are of x_t's shape, and finite, or are told to be its fault.

    Args:
        who: in messages; see `whose`.
        remedy: for numbers that are not finite.
    """

    def __init__(self, denoiser: Denoiser, who: str, remedy: str) -> None:
        super().__init__(denoiser)
        self.who, self.remedy = who, remedy

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        with told(self.who):
            p = answered(self.denoiser(x_t, t), x_t)
        if not p.x_0.isfinite().all():
            raise RestorekitError(f"{self.who} answers with NaN or infinity here; {self.remedy}")
        return p


def denoiser_of(posterior: Any, who: str) -> Denoiser:
    """What a method gives. Raises RestorekitError where that is no denoiser."""
    with told(who):
        if not (callable(posterior) and hasattr(posterior, "schedule")):
            raise WrongAnswer(posterior, "a denoiser, a function (x_t, t) with a schedule,")
    return Answering(posterior, who, "use another --method")


def stepping(step: Step, who: str) -> Step:
    """A sampler's step that gives (x_s, prediction), x_s of x_t's shape."""

    def checked(denoiser: Denoiser, x_t: Tensor, *rest: Any) -> tuple[Tensor, Prediction]:
        given: Any = step(denoiser, x_t, *rest)
        due = f"a pair of x_s, {tuple(x_t.shape)}, and a Prediction"
        with told(who):
            if not (isinstance(given, tuple) and len(given) == 2):
                raise WrongAnswer(given, due)
            x_s, prediction = given
            if not isinstance(x_s, Tensor) or x_s.shape != x_t.shape:
                raise WrongAnswer(x_s, due)
            return x_s, answered(prediction, x_t)

    return checked


def versions_of(offered: Mapping[str, str], load: Any) -> list[str]:
    """The packages, and their versions, that things come from which decide pixels.

    Args:
        offered: their names, by kind.
        load: of the prior; where it lies at a path, the plugin that opens it has written this.
    """
    registry = plugins.registry()
    owners = [registry.owner(kind, name) for kind, name in offered.items()]
    owners.append(registry.author(layers(load)[-1].__module__))
    return sorted({f"{owner.package} {owner.version}" for owner in owners if owner is not None})
