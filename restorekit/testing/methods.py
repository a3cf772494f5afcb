"""Does a method condition its prior on y, and exactly where it says so?"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..engine.conditioning import Degradation, Method, Observation
from ..engine.declared import layers, of_method
from ..engine.denoiser import Denoiser
from ..engine.operators import Identity, LinearOperator, Mask, Resample
from ..parameters import of
from .gaussian import GaussianPrior

SIZE = (5, 4)
VARIANCE = 0.3
RATIOS = (0.1, 0.7, 5.0)  # sigma_t / alpha_t, where a method is asked
EXACT = 1e-5  # in deviations of the prior

Exact = Callable[[LinearOperator, float], bool]


def nowhere(operator: LinearOperator, sigma: float) -> bool:
    """No claim to be exact."""
    return False


def check_method(
    method: Method, *, exact: Exact = nowhere, observations: Iterable[Observation] | None = None
) -> None:
    """Asserts that a method makes a denoiser of a denoiser, one that knows more.

    With the Gaussian prior, whose posteriors are known in closed form, and at three noise levels:

    - The answer has the state's shape, type and no NaN; it is the same when asked again; state
      and measurement stay as they were.
    - A x_0 is nearer to y than the prior alone brings it, unless its trait `conditions` is False.
    - Where it claims to be exact, x_0 is E[x_0 | x_t, y].
    - Every option has a line in the docstring.

    Args:
        method: with its traits, see `restorekit.engine.declared`; a partial sets options.
        exact: (operator, sigma_y) -> whether it is exact there for a Gaussian prior.
        observations: of pictures (1, 1, 5, 4), all of which it must take. By default a mask, a
            bicubic reduction and the identity, with noise and without, of which it may refuse any
            by a ValueError that says so.
    """
    name = name_of(method)
    check_options(method)
    for observation in standard() if observations is None else observations:
        prior = GaussianPrior(torch.zeros(1, 1, *SIZE, dtype=torch.float64), VARIANCE)
        kept = observation.y.clone()
        try:
            posterior = method(prior, observation)
            _answers(name, posterior, prior, observation, exact)
            if of_method(method).conditions:
                _nearer(name, posterior, prior, observation)
        except ValueError as error:
            operator = type(observation.operator).__name__
            assert observations is None, f"method {name} refuses {operator}: {error}"
            assert str(error), f"method {name} refuses {operator} without saying why"
        assert torch.equal(observation.y, kept), f"method {name} changed y"


def name_of(function: Callable[..., object]) -> str:
    """What a function is called where it was written."""
    inner = layers(function)[-1]
    return getattr(inner, "__name__", type(inner).__name__)


def check_options(function: Callable[..., object]) -> None:
    """Asserts that the docstring explains every option of a method or step."""
    for option in of(function).values():
        said = f"the docstring of {name_of(function)} says nothing of the option {option.name!r}"
        assert option.help, said


def standard() -> Iterable[Observation]:
    """The usual measurements of a picture, in both precisions."""
    holes = (seeded(1, 1, *SIZE) > -0.2).double()
    for operator in (Mask(holes), Resample(SIZE, (3, 3)), Identity()):
        for sigma in (0.0, 0.2):
            y = operator(VARIANCE**0.5 * seeded(1, 1, *SIZE).flip(-1))
            y = y + sigma * seeded(*y.shape)
            yield Observation(y, Degradation(operator, sigma))
    y = VARIANCE**0.5 * seeded(1, 1, *SIZE).flip(-1).float() * holes.float()
    yield Observation(y, Degradation(Mask(holes.float())))


def seeded(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def _answers(
    name: str, posterior: Denoiser, prior: GaussianPrior, observation: Observation, exact: Exact
) -> None:
    a, y, sigma = observation.operator, observation.y, observation.sigma
    here = f"method {name}, {type(a).__name__}, sigma {sigma}"
    for ratio in RATIOS:
        t = prior.schedule.time_for(ratio)
        x_t = _state(prior, ratio).to(y)
        kept = x_t.clone()
        x_0 = posterior(x_t, t).x_0
        assert torch.equal(x_t, kept), f"{here}: changed the state"
        assert x_0.shape == x_t.shape, f"{here}: x_0 is {tuple(x_0.shape)}, not {tuple(x_t.shape)}"
        assert x_0.dtype == x_t.dtype, f"{here}: x_0 is {x_0.dtype}, not {x_t.dtype}"
        assert x_0.isfinite().all(), f"{here}: x_0 is not finite at sigma_t / alpha_t = {ratio}"
        again = posterior(x_t, t).x_0
        assert torch.equal(again, x_0), f"{here}: another answer when asked again"
        if isinstance(sigma, float | int) and exact(a, sigma):
            # x_0 | x_t is Gaussian again, and y is one more measurement of it.
            known = GaussianPrior(prior(x_t, t).x_0.double(), float(prior.variance(t)))
            wanted, _ = known.posterior(observation)
            gap = (x_0 - wanted).abs().max().item() / VARIANCE**0.5
            assert gap < (EXACT if y.dtype == torch.float64 else 1e-3), (
                f"{here}: {gap:.2e} deviations from E[x_0 | x_t, y] at sigma_t / alpha_t = {ratio}"
            )


def _nearer(name: str, posterior: Denoiser, prior: GaussianPrior, observation: Observation) -> None:
    a, y = observation.operator, observation.y
    for ratio in RATIOS:
        t = prior.schedule.time_for(ratio)
        x_t = _state(prior, ratio).to(y)
        before, after = (
            torch.linalg.vector_norm(a(asked(x_t, t).x_0) - y).item()
            for asked in (prior, posterior)
        )
        assert after < before, (
            f"method {name}, {type(a).__name__}, sigma {observation.sigma}: |A x_0 - y| is "
            f"{after:.3g} at sigma_t / alpha_t = {ratio}, and {before:.3g} with the prior alone"
        )


def _state(prior: GaussianPrior, ratio: float) -> Tensor:
    """A typical state, where sigma_t / alpha_t is the ratio."""
    alpha, _ = prior.schedule(prior.schedule.time_for(ratio))
    return float(alpha) * (VARIANCE + ratio**2) ** 0.5 * seeded(1, 1, *SIZE)
