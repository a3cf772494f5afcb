"""Networks as denoisers: parametrisations, locality, and the training objectives."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.engine import losses
from restorekit.engine.denoiser import PARAMETRISATIONS, NetworkDenoiser, Prediction
from restorekit.engine.noise import Noise
from restorekit.engine.pruning import windows
from restorekit.engine.regions import Box
from restorekit.engine.sampler import STEPS, sample
from restorekit.engine.schedule import linear, over
from restorekit.engine.unet import UNet, UNetConfig
from restorekit.testing import GaussianPrior

from .networks import LOCAL, random_network


@pytest.mark.parametrize("name", list(LOCAL))
def test_declared_halo_covers_what_an_output_sees(name: str) -> None:
    """The gradient of an aligned block's output vanishes beyond the halo, and not long before."""
    config = LOCAL[name]
    halo, m = config.halo, config.multiple
    assert halo is not None
    side = 2 * halo + 9 * m
    x = torch.randn(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    first = (side // m // 2) * m
    out = random_network(config)(x, torch.zeros(1, dtype=torch.float64))
    out[..., first : first + m, first : first + m].square().sum().backward()
    seen = (x.grad.abs().sum((0, 1, 2)) > 0).nonzero().flatten()
    reach = max(first - int(seen[0]), int(seen[-1]) - (first + m - 1))
    assert halo - 2 * m <= reach <= halo


@pytest.mark.parametrize("name", list(LOCAL))
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_what_is_asked_inside_a_box_is_right_there(name: str, data: st.DataObject) -> None:
    config = LOCAL[name]
    height, width = data.draw(st.integers(1, 150)), data.draw(st.integers(1, 150))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    box = Box(top, bottom, left, right)
    network, noise = random_network(config), torch.zeros(1, dtype=torch.float64)
    x = Noise(1).normal((2, 3, height, width)).double()
    with torch.inference_mode():
        whole, part = network(x, noise), network(x, noise, box)
    assert part.shape == whole.shape
    torch.testing.assert_close(part[box.slices], whole[box.slices])


def test_a_small_box_costs_less_the_nearer_the_answer() -> None:
    config = UNetConfig(widths=(32, 64, 128, 256))
    whole, inner = Box(0, 320, 0, 320), Box(96, 224, 96, 224)
    asked = windows(config, whole, inner)
    areas = [box.area * 4**level for level, box in enumerate(asked.down)]
    areas += [box.area * 4**level for level, box in reversed(list(enumerate(asked.up)))]
    assert areas == sorted(areas, reverse=True) and areas[-1] < 1.2 * inner.area
    assert sum(areas) < 0.65 * len(areas) * whole.area
    everywhere = windows(config, whole, None)
    assert [box.area * 4**level for level, box in enumerate(everywhere.down)] == [whole.area] * 4


def test_global_layers_declare_no_halo() -> None:
    assert UNetConfig(widths=(8, 8), attention=(1,)).halo is None
    assert UNetConfig(widths=(8, 8), norm=True).halo is None
    net = UNet(UNetConfig(widths=(8, 16), attention=(1,), norm=True, learned_variance=True))
    assert net(torch.randn(2, 3, 17, 13), torch.zeros(2)).shape == (2, 6, 17, 13)


def test_shared_noise_level_equals_one_for_each() -> None:
    """The folded modulation of inference is the same function as the plain one of training."""
    network = random_network(LOCAL["three levels"])
    x, level = torch.randn(2, 3, 16, 24, dtype=torch.float64), torch.tensor([0.3]).double()
    with torch.inference_mode():
        torch.testing.assert_close(network(x, level), network(x, level.expand(2)))


def test_a_network_is_told_no_level_that_it_never_heard() -> None:
    """The nearest instead, whose answer counts for next to nothing where there is no noise."""
    told = []

    def network(x: torch.Tensor, log_noise: torch.Tensor) -> torch.Tensor:
        told.append(float(log_noise.exp()))
        return torch.ones_like(x)

    denoiser = NetworkDenoiser(network, linear(), heard=(0.02, 2.0))  # type: ignore[arg-type]
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    for ratio, heard in ((0.001, 0.02), (0.3, 0.3), (40.0, 2.0)):
        t = denoiser.schedule.time_for(ratio)
        alpha = denoiser.schedule(t)[0]
        x_0 = denoiser(alpha * x, t).x_0
        assert told[-1] == pytest.approx(heard, rel=1e-6)
        if ratio < 0.02:
            torch.testing.assert_close(x_0, x, atol=0.1 * ratio, rtol=0)


@pytest.mark.parametrize("name", list(PARAMETRISATIONS))
def test_perfect_networks_predict_x_0(name: str) -> None:
    """A network that puts out the true target of its parametrisation gives the true x_0."""
    schedule, sigma_data = linear(), 0.5
    x_0, eps = torch.randn(2, 3, 4, 4).double(), torch.randn(2, 3, 4, 4).double()
    t = torch.tensor([0.3, 0.8], dtype=torch.float64)
    alpha, sigma = (v[:, None, None, None] for v in schedule(t))
    s = sigma / alpha
    v = (sigma_data**2 * eps - s * x_0) / (sigma_data * (s**2 + sigma_data**2).sqrt())
    target = {"x_0": x_0, "eps": eps, "v": v}[name]

    class Perfect(torch.nn.Module):
        def forward(self, x: torch.Tensor, log_noise: torch.Tensor) -> torch.Tensor:
            return target

    denoiser = NetworkDenoiser(Perfect(), schedule, name, sigma_data)
    torch.testing.assert_close(denoiser(schedule.diffuse(x_0, t, eps), t).x_0, x_0)


def test_v_with_unit_data_is_salimans_and_ho() -> None:
    alpha, sigma = (float(v) for v in linear()(0.4))
    x_0, eps = torch.randn(5).double(), torch.randn(5).double()
    x = (alpha * x_0 + sigma * eps) / alpha
    v = alpha * eps - sigma * x_0
    found = PARAMETRISATIONS["v"](v, x, torch.tensor(sigma / alpha).double(), 1.0)
    torch.testing.assert_close(found, x_0)


def test_simple_loss_is_the_error_of_eps() -> None:
    prior = GaussianPrior(torch.zeros(1, 1, 4, 4), 0.2)
    x_0, eps = torch.randn(3, 1, 4, 4).double(), torch.randn(3, 1, 4, 4).double()
    t = torch.tensor([0.05, 0.4, 0.9], dtype=torch.float64)
    x_t = prior.schedule.diffuse(x_0, t, eps)
    alpha, sigma = (v[:, None, None, None] for v in prior.schedule(t))
    eps_hat = (x_t - alpha * prior(x_t, t).x_0) / sigma
    wanted = (eps - eps_hat).square().mean((1, 2, 3))
    torch.testing.assert_close(losses.simple(prior, x_0, t, eps), wanted)


def test_gaussian_kl_is_torchs() -> None:
    from torch.distributions import Normal, kl_divergence

    a, b, c, d = torch.randn(4, 50, dtype=torch.float64)
    wanted = kl_divergence(Normal(a, (b / 2).exp()), Normal(c, (d / 2).exp()))
    torch.testing.assert_close(losses.gaussian_kl(a, b, c, d), wanted)


def test_decoder_is_a_distribution_over_grey_levels() -> None:
    """Its probabilities of all 256 values sum to one."""
    x = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    for mean, log_variance in [(0.1, -6.0), (-0.99, -3.0), (1.2, -8.0)]:
        log_p = losses.discretised_log_likelihood(
            x, torch.tensor(mean).double(), torch.tensor(log_variance).double()
        )
        assert log_p.exp().sum() == pytest.approx(1, abs=1e-6)


class ExactVariance(GaussianPrior):
    """Also knows the variance of its reverse step, as a network that learned it would."""

    def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
        s = t - 1 / self.schedule.T
        beta, beta_tilde = self.schedule.reverse_variances(s, t)
        (alpha_s, sigma_s), (_, sigma_t) = self.schedule(s), self.schedule(t)
        on_x_0 = alpha_s * beta / sigma_t**2
        exact = on_x_0**2 * self.variance(t) + beta * sigma_s**2 / sigma_t**2
        v = (exact.log() - beta_tilde.log()) / (beta.log() - beta_tilde.log())
        return Prediction(super().__call__(x_t, t).x_0, over(v, x_t).expand(x_t.shape))


def test_bound_meets_the_entropy_where_mean_and_variance_are_exact() -> None:
    """Bits per value of x ~ N(0, c), on a grid of 2 / 255, under its own exact reverse process.

    With the variance fixed at beta~ the bound is looser, which is why it is worth learning.
    """
    c = 0.1
    mean = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    source = torch.Generator().manual_seed(5)
    x_0 = (c**0.5 * torch.randn(64, 1, 16, 16, generator=source, dtype=torch.float64)).clamp(-1, 1)
    x_0 = ((x_0 + 1) * 127.5).round() / 127.5 - 1

    def bits(prior: GaussianPrior, steps: int | None = None) -> float:
        def noise(x: torch.Tensor) -> torch.Tensor:
            return torch.randn(x.shape, generator=source, dtype=x.dtype)

        return float(losses.bits_per_dimension(prior, x_0, noise, steps).mean())

    entropy = 0.5 * math.log2(2 * math.pi * math.e * c) - math.log2(2 / 255)
    exact = bits(ExactVariance(mean, c))
    assert entropy - 0.05 < exact < entropy + 0.05
    assert bits(GaussianPrior(mean, c)) > exact + 0.3
    # A few of the terms give the same bound, on average.
    assert bits(ExactVariance(mean, c), 40) == pytest.approx(exact, abs=0.05)
    assert bits(GaussianPrior(mean, c), 40) == pytest.approx(bits(GaussianPrior(mean, c)), abs=0.1)


def test_learned_variance_makes_the_ancestral_chain_exact() -> None:
    """All 1000 steps with mean and variance exact: the samples have the prior's variance."""
    prior = ExactVariance(torch.zeros(1, 1, 1, 1, dtype=torch.float64), 0.3)
    times = torch.arange(1000, -1, -1).double() / 1000
    noise = Noise(0)
    start = noise.normal((1, 1, 100, 200)).double()
    found = sample(prior, start, times, step=STEPS["ddpm"], noise=noise)
    left = prior.variance(times[-2]).item()  # the last prediction is a mean, not a draw
    assert found.var().item() == pytest.approx(0.3 - left, rel=0.03)


def test_hybrid_trains_the_variance_without_touching_the_mean() -> None:
    config = UNetConfig(widths=(4, 4), blocks=1, learned_variance=True)
    denoiser = NetworkDenoiser(random_network(config).float(), linear(), "eps")
    x_0, eps = torch.rand(2, 3, 8, 8) * 2 - 1, torch.randn(2, 3, 8, 8)
    t = torch.tensor([0.001, 0.5])

    def gradients(objective: losses.Objective) -> torch.Tensor:
        denoiser.zero_grad()
        objective(denoiser, x_0, t, eps).mean().backward()
        return denoiser.network.head.weight.grad.clone()

    simple, hybrid = gradients(losses.simple), gradients(losses.hybrid)
    torch.testing.assert_close(simple[:3], hybrid[:3])
    assert simple[3:].abs().max() == 0 < hybrid[3:].abs().max()
    plain = NetworkDenoiser(random_network(LOCAL["uneven"]).float(), linear(), "eps")
    with pytest.raises(ValueError, match="learned variance"):
        losses.hybrid(plain, x_0, t, eps)


def test_root_v_is_psnr_at_low_noise_and_squared_error_at_high() -> None:
    prior = GaussianPrior(torch.zeros(1, 1, 8, 8), 0.3)
    x_0, eps = torch.randn(8, 1, 8, 8), torch.randn(8, 1, 8, 8)

    def both(ratio: float) -> tuple[torch.Tensor, torch.Tensor]:
        t = linear().time_for(torch.full((8,), ratio))
        return losses.root_v(prior, x_0, t, eps), losses.v(prior, x_0, t, eps)

    high, squared = both(100.0)
    torch.testing.assert_close(high, squared, rtol=1e-2, atol=0)
    low, squared = both(0.02)
    gaps = (low - squared.log()).double()
    assert gaps.std() < 1e-2 * low.std(), "differs from the log of the error by a constant"


def test_root_v_takes_the_root_of_each_block() -> None:
    """A block with four times the error counts twice, and so do pixels beyond the last block."""
    said = torch.zeros(1, 3, 8, 20)
    said[..., :8], said[..., 8:] = 0.5, 0.25

    class Constant:
        schedule = linear()

        def __call__(self, x_t: torch.Tensor, t: torch.Tensor) -> Prediction:
            return Prediction(said)

    t = linear().time_for(torch.tensor([0.02]))
    found = losses.root_v(Constant(), torch.zeros_like(said), t, torch.zeros_like(said))
    weight = losses.v_weight(linear().noise_to_signal(t), 1.0)
    errors = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64) ** 2 * weight
    c = 1e-3 + 0.05 * 0.02**2
    expected = 2 * (1 + c) * (1 + errors / c).sqrt().mean().log()
    torch.testing.assert_close(found.double(), expected[None], rtol=1e-4, atol=0)
