"""The one-evaluation denoiser under a map of noise levels."""

from __future__ import annotations

import math

import pytest
import torch

from restorekit.engine.conditioning import Degradation, Observation
from restorekit.engine.denoiser import NetworkDenoiser, Prediction
from restorekit.engine.levels import Blended
from restorekit.engine.operators import Identity
from restorekit.engine.schedule import linear
from restorekit.engine.wrappers import Wrapper
from restorekit.testing import GaussianPrior

from .networks import LOCAL, random_network

SIZE = (24, 16)


class Counting(Wrapper):
    count = 0

    def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
        self.count += 1
        return self.denoiser(x_t, t)


def test_a_constant_map_is_the_plain_evaluation() -> None:
    denoiser = NetworkDenoiser(random_network(LOCAL["uneven"]), linear())
    x, t = torch.randn(1, 3, *SIZE, dtype=torch.float64), torch.tensor(0.2)
    counting = Counting(denoiser)
    with torch.inference_mode():
        found = Blended(counting, torch.ones(1, 1, *SIZE))(x, t).x_0
        torch.testing.assert_close(found, denoiser(x, t).x_0, rtol=1e-6, atol=1e-6)
    assert counting.count == 1


@pytest.mark.parametrize("weakest", [0.02, 0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("level", [0.05, 0.4, 2.0])
def test_blending_is_nearly_the_posterior_mean(level: float, weakest: float) -> None:
    """Off by 0.05 h^2 of the largest change there is, at levels exp(h) apart."""
    share = torch.linspace(math.log(weakest), 0, 24 * 16, dtype=torch.float64).exp()
    share = share.reshape(1, 1, *SIZE)
    prior = GaussianPrior(torch.zeros(1, 1, *SIZE, dtype=torch.float64), 0.3)
    y = torch.ones(1, 1, *SIZE, dtype=torch.float64)
    wanted, _ = prior.posterior(Observation(y, Degradation(Identity(), level * share)))
    t = prior.schedule.time_for(level)
    counting = Counting(prior)
    blended = Blended(counting, share)
    found = blended(prior.schedule(t)[0] * y, t).x_0
    h = math.log(blended.levels[0] / blended.levels[1])
    assert (found - wanted).abs().max() <= 0.05 * h**2
    faint = share < blended.levels[-1]  # where the change itself is small, so is its error
    assert ((found - wanted)[faint] / (y - wanted)[faint]).abs().le(level**2 / 16).all()
    assert counting.count == len(blended.levels) == (2 if weakest >= 0.5 else 3)


def test_a_share_that_is_none_is_refused() -> None:
    for share in (torch.ones(*SIZE), 2 * torch.ones(1, 1, *SIZE), -torch.ones(1, 1, *SIZE)):
        with pytest.raises(ValueError, match="largest value 1"):
            Blended(GaussianPrior(torch.zeros(1, 1, *SIZE), 0.3), share)
