"""The conformance kit for priors: ours pass, and every check finds what was broken on purpose."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from restorekit import priors
from restorekit.engine.denoiser import NetworkDenoiser, Prediction
from restorekit.engine.schedule import linear
from restorekit.loading import find_prior
from restorekit.testing import (
    check_prior,
)

from .networks import LOCAL, random_network


@pytest.mark.parametrize("name", list(priors.shipped()))
def test_priors(name: str) -> None:
    check_prior(find_prior(name))


class Answering(nn.Module):
    """A mean of 3 x 3 pixels for x_0, with data of deviation 1, and a fault."""

    def __init__(self, fault: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, x: Tensor, log_noise: Tensor) -> Tensor:
        x = x * (log_noise.exp() ** 2 + 1).sqrt()[:, None, None, None]
        return self.fault(nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False))


def prior_with(fault: Callable[[Tensor], Tensor], halo: int | None = 1) -> NetworkDenoiser:
    return NetworkDenoiser(Answering(fault), linear(), "x_0", sigma_data=1.0, halo=halo)


class Clamping(NetworkDenoiser):
    def forward(self, x_t: Tensor, t: Tensor) -> Prediction:
        return super().forward(x_t.clamp_(-1, 1), t)


class Boastful(NetworkDenoiser):
    def variance(self, t: Tensor) -> Tensor:
        return -super().variance(t)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (
            prior_with(lambda x: x[..., :-1]),
            r"gives .*\(1, 3, 48, 31\), where .* x_0 of \(1, 3, 48, 32\)",
        ),
        (prior_with(lambda x: x / 0), "not finite at t = 0.0"),
        (prior_with(torch.rand_like), "says something else"),
        (prior_with(lambda x: x - x.mean((2, 3), keepdim=True)), "sees 1 pixels far"),
        (prior_with(lambda x: x, halo=0), "sees 0 pixels far"),
        (Clamping(Answering(lambda x: x), linear(), "x_0"), "changed the state"),
        (Boastful(Answering(lambda x: x), linear(), "x_0"), "variance"),
    ],
)
def test_a_broken_prior(broken: NetworkDenoiser, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_prior(broken, sound=False)


def test_a_prior_is_what_it_says_before_it_is_loaded() -> None:
    loaded = prior_with(lambda x: x)
    said = priors.Prior("grey", (), 1, None, 1, {}, lambda *_: loaded)
    with pytest.raises(AssertionError, match=r"\(1, 1\) before it is loaded, and \(3, 1\) after"):
        check_prior(said)


def test_a_prior_must_be_sound_unless_it_is_not_trained() -> None:
    network = random_network(LOCAL["uneven"]).float()
    config = LOCAL["uneven"]
    untrained = NetworkDenoiser(network, linear(), halo=config.halo, multiple=config.multiple)
    check_prior(untrained, sound=False)
    with pytest.raises(AssertionError, match="times the noise that it is told"):
        check_prior(untrained)
    with pytest.raises(AssertionError, match="from clean photos"):
        check_prior(prior_with(lambda x: x + 20 / 255))
