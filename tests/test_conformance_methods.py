"""The conformance kit for methods and samplers: ours pass, every fault made on purpose is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from restorekit.engine.conditioning import (
    METHODS,
    Conditioned,
    Degradation,
    Observation,
    diffpir,
)
from restorekit.engine.denoiser import Denoiser, Prediction
from restorekit.engine.operators import LinearOperator, Mask, Resample
from restorekit.engine.sampler import STEPS, ddim
from restorekit.engine.schedule import over
from restorekit.testing import (
    check_method,
    check_sampler,
)

# For C = r_t^2 I, as the methods' module says of them.
EXACT: dict[str, Callable[[LinearOperator, float], bool]] = {
    "diffpir": lambda *_: True,
    "pigdm": lambda *_: True,
    "ddnm": lambda operator, sigma: sigma == 0 or not isinstance(operator, Resample),
    "dps": lambda operator, _: not isinstance(operator, Resample),
    "replace": lambda _, sigma: sigma == 0,
    "mapped": lambda *_: True,
    "none": lambda *_: False,
}


@pytest.mark.parametrize("name", list(METHODS))
def test_methods(name: str) -> None:
    check_method(METHODS[name], exact=EXACT[name])


@pytest.mark.parametrize("name", list(STEPS))
def test_samplers(name: str) -> None:
    check_sampler(STEPS[name])


def deaf(prior: Denoiser, observation: Observation) -> Denoiser:
    return prior


def keeping(prior: Denoiser, observation: Observation) -> Denoiser:
    observation.y.mul_(0.5)
    return diffpir(prior, observation)


def clamping(prior: Denoiser, observation: Observation) -> Denoiser:
    inner = diffpir(prior, observation)
    return Conditioned(prior, lambda x_t, t, _: inner(x_t.clamp_(-0.1, 0.1), t))


def doubling(prior: Denoiser, observation: Observation) -> Denoiser:
    inner = diffpir(prior, observation)
    return Conditioned(prior, lambda x_t, t, _: Prediction(inner(x_t, t).x_0.double()))


def dicing(prior: Denoiser, observation: Observation) -> Denoiser:
    inner = diffpir(prior, observation)

    def correct(x_t: Tensor, t: Tensor, r2: float) -> Prediction:
        x_0 = inner(x_t, t).x_0
        return Prediction(x_0 + 1e-3 * torch.randn_like(x_0))

    return Conditioned(prior, correct)


def halfway(prior: Denoiser, observation: Observation) -> Denoiser:
    inner = diffpir(prior, observation)
    return Conditioned(
        prior, lambda x_t, t, _: Prediction((inner(x_t, t).x_0 + prior(x_t, t).x_0) / 2)
    )


def curt(prior: Denoiser, observation: Observation) -> Denoiser:
    raise ValueError


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (deaf, "with the prior alone"),
        (keeping, "changed y"),
        (clamping, "changed the state"),
        (doubling, "x_0 is torch.float64, not torch.float32"),
        (dicing, "another answer when asked again"),
        (halfway, "deviations from E"),
        (curt, "without saying why"),
    ],
)
def test_a_broken_method(broken: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_method(broken, exact=EXACT["diffpir" if broken is halfway else "none"])


def test_a_method_takes_what_it_is_said_to_take() -> None:
    known = Observation(torch.ones(1, 1, 5, 4).double(), Degradation(Mask(torch.ones(1, 1, 5, 4))))
    check_method(METHODS["replace"], observations=[known])
    reduced = Observation(torch.ones(1, 1, 3, 3).double(), Degradation(Resample((5, 4), (3, 3))))
    with pytest.raises(AssertionError, match=r"refuses Resample.*needs a mask"):
        check_method(METHODS["replace"], observations=[reduced])


def forgetful(denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any) -> Any:
    """Leaves out the noise of DDPM's step."""
    p = denoiser(x_t, t)
    return denoiser.schedule.posterior(x_t, p.x_0, s, t).mean, p


def lucky(denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any) -> Any:
    """The one-step kernel's noise from torch's own generator."""
    p = denoiser(x_t, t)
    law = denoiser.schedule.posterior(x_t, p.x_0, s, t)
    return law.mean + law.variance.sqrt() * torch.randn_like(x_t), p


def toy(denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any) -> Any:
    """Takes x_0 for x_s: the mean is right at the end alone."""
    p = denoiser(x_t, t)
    return over(denoiser.schedule(s)[0], x_t) * (p.x_0 + 0.1), p


def curious(denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any) -> Any:
    denoiser(x_t, t), denoiser(x_t, t)
    return ddim(denoiser, x_t, t, s, noise, previous)


def endless(denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any) -> Any:
    """Divides by the noise of where it goes to."""
    x_s, p = ddim(denoiser, x_t, t, s, noise, previous)
    sigma = over(denoiser.schedule(s)[1], x_t)
    return x_s / sigma * sigma, p


def noisy(
    denoiser: Any, x_t: Any, t: Any, s: Any, noise: Any, previous: Any, *, more: float = 0.0
) -> Any:
    """Has an option that nobody explains."""
    return ddim(denoiser, x_t, t, s, noise, previous, eta=more)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (noisy, "says nothing of the option 'more'"),
        (forgetful, "times the variance"),
        (lucky, "draws from elsewhere than its Noise"),
        (toy, "its mean is off"),
        (curious, "says 1 evaluations a step, and takes"),
        (endless, "x_s is not finite at the clean end"),
    ],
)
def test_a_broken_sampler(broken: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_sampler(broken)
