"""Training objectives, each (denoiser, x_0, t, eps) -> (B,): one number for each example.

A denoiser predicts x_0 whatever its network puts out, so each objective is written once and
holds for every parametrisation. Times are grid points i / T, i >= 1, where the bound is meant.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .denoiser import Denoiser, Prediction
from .schedule import Schedule, over

Objective = Callable[[Denoiser, Tensor, Tensor, Tensor], Tensor]

ROOT_BLOCK = 8  # pixels
ROOT_FLOOR, ROOT_SLOPE = 1e-3, 0.05  # c of root_v at no noise, its growth with (sigma/alpha)^2
EVEN_FLOOR = 0.3  # c of even_v
QUIET = 1e-3  # noise-to-signal ratio of a pixel that counts as known
HYBRID_WEIGHT = 1e-3  # lambda of improved DDPM eq. 16, for the bound as a sum over the steps


def _mean(x: Tensor) -> Tensor:
    return x.flatten(1).mean(1)


def _predict(denoiser: Denoiser, x_0: Tensor, t: Tensor, eps: Tensor) -> tuple[Tensor, Prediction]:
    x_t = denoiser.schedule.diffuse(x_0, t, eps)
    return x_t, denoiser(x_t, t)


def simple_of(schedule: Schedule, prediction: Prediction, x_0: Tensor, t: Tensor) -> Tensor:
    """|eps - eps_theta|^2 = SNR |x_0 - x_theta|^2 of a given prediction."""
    return _mean((x_0 - prediction.x_0).square()) * schedule.snr(t).to(x_0)


def simple(denoiser: Denoiser, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """L_simple = |eps - eps_theta(x_t, t)|^2, a mean over values (DDPM eq. 14)."""
    _, prediction = _predict(denoiser, x_0, t, eps)
    return simple_of(denoiser.schedule, prediction, x_0, t)


def v_weight(noise_to_signal: Tensor, sigma_data: float) -> Tensor:
    """Turns |x_0 - x_theta|^2 into |v - v_theta|^2 (EDM's lambda, section 5)."""
    return (noise_to_signal**2 + sigma_data**2) / (noise_to_signal * sigma_data) ** 2


def v(denoiser: Denoiser, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """|v - v_theta|^2, for data scaled to unit variance; its weight is even over noise levels."""
    _, prediction = _predict(denoiser, x_0, t, eps)
    sigma_data = getattr(denoiser, "sigma_data", 1.0)
    weight = v_weight(denoiser.schedule.noise_to_signal(t), sigma_data)
    return _mean((x_0 - prediction.x_0).square()) * weight.to(x_0)


def root_v(
    denoiser: Denoiser, x_0: Tensor, t: Tensor, eps: Tensor, *, floor: float = ROOT_FLOOR
) -> Tensor:
    """2 (1 + c) log mean_b sqrt(1 + |v - v_theta|_b^2 / c) over blocks b of 8 x 8 pixels.

    Photos are scored by PSNR, the logarithm of the error, so a smooth picture counts as much as a
    busy one; within one, blocks with little error count for more than their share. What x_t tells
    least about is the noise of the regression, and weights of one over its variance would be the
    most efficient (Aitken); the root goes half the way, and so stays near what PSNR measures.

    Where the noise is low, x_t nearly determines a block's error, and weights that depend on x_t
    alone leave E[x_0 | x_t] the minimiser. Where it is high that no longer holds; c grows with
    it, and what remains is |v - v_theta|^2.

    Of a time for every pixel, (B, 1, H, W), the noisiest counts, and pixels without noise do not.

    Args:
        floor: of c.
    """
    schedule = denoiser.schedule
    _, prediction = _predict(denoiser, x_0, t, eps)
    r = schedule.noise_to_signal(t)
    error = (x_0 - prediction.x_0).square().mean(1, keepdim=True)
    noisy = None
    if r.ndim == 4:
        noisy = _blocks(over((r > QUIET).float(), error))
        error = error * (r > QUIET).to(error)
        r = r.amax((1, 2, 3))
    weight = v_weight(r, getattr(denoiser, "sigma_data", 1.0)).to(x_0)
    c = floor + ROOT_SLOPE * r.to(x_0) ** 2
    blocks = _blocks(error) if noisy is None else _blocks(error) / noisy.clamp(min=1e-6)
    roots = (1 + over(weight / c, blocks) * blocks).sqrt()
    mean = _mean(roots) if noisy is None else _mean(roots * noisy) / _mean(noisy).clamp(min=1e-6)
    return 2 * (1 + c) * mean.log()


def even_v(denoiser: Denoiser, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """`root_v` with so large a c that errors far below the level told count as they are.

    For crops that are restored in steps. There is nothing left to do in the smooth ones, whose
    errors are thousands of times less than those at edges; their logarithm would decide the rest.
    """
    return root_v(denoiser, x_0, t, eps, floor=EVEN_FLOOR)


def _blocks(x: Tensor) -> Tensor:
    """Means over blocks."""
    return F.avg_pool2d(x, ROOT_BLOCK, ceil_mode=True, count_include_pad=False)


def gaussian_kl(mean_q: Tensor, log_var_q: Tensor, mean_p: Tensor, log_var_p: Tensor) -> Tensor:
    """KL(q || p) of diagonal Gaussians, per value, in nats."""
    gap = (mean_q - mean_p).square() * torch.exp(-log_var_p)
    return 0.5 * (log_var_p - log_var_q + torch.exp(log_var_q - log_var_p) - 1 + gap)


def discretised_log_likelihood(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log p(x) of 8-bit values x on [-1, 1] under a Gaussian, per value (DDPM eq. 13)."""
    half = 1 / 255
    scaled = torch.exp(-0.5 * log_variance) / math.sqrt(2)

    def below(edge: Tensor) -> Tensor:
        return 0.5 * (1 + torch.erf(edge * scaled))

    upper = torch.where(x > 1 - half / 2, torch.ones_like(x), below(x - mean + half))
    lower = torch.where(x < -1 + half / 2, torch.zeros_like(x), below(x - mean - half))
    return (upper - lower).clamp(min=1e-12).log()


def reverse_log_variance(
    schedule: Schedule, prediction: Prediction, s: Tensor, t: Tensor
) -> Tensor:
    """log sigma_theta^2 of the step from t to s; beta~ where the network learned none."""
    fraction = prediction.variance_fraction
    if fraction is None:
        fraction = torch.zeros_like(prediction.x_0)
    return schedule.log_variance(fraction, s, t)


def bound_term(
    schedule: Schedule, prediction: Prediction, x_0: Tensor, x_t: Tensor, t: Tensor
) -> Tensor:
    """L_{t-1} for t > 1 / T, the decoder term L_0 at t = 1 / T; bits per value (DDPM eq. 5)."""
    s = torch.as_tensor(t, dtype=torch.float64, device="cpu") - 1 / schedule.T
    log_var_p = reverse_log_variance(schedule, prediction, s, t)
    mean_p = schedule.posterior(x_t, prediction.x_0, s, t).mean
    mean_q = schedule.posterior(x_t, x_0, s, t).mean
    log_var_q = over(schedule.reverse_variances(s, t)[1].log(), x_0)
    kl = _mean(gaussian_kl(mean_q, log_var_q, mean_p, log_var_p))
    decoder = -_mean(discretised_log_likelihood(x_0, mean_p, log_var_p))
    first = (s < 0.5 / schedule.T).to(x_0.device)
    return torch.where(first, decoder, kl) / math.log(2)


def vlb(denoiser: Denoiser, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """One term of the variational bound, in bits per value; its mean over t times T is L_vlb.

    Needs the schedule's clean end to be clean: the chain's grid times i / T, i = 1 .. T.
    """
    x_t, prediction = _predict(denoiser, x_0, t, eps)
    return bound_term(denoiser.schedule, prediction, x_0, x_t, t)


def hybrid(denoiser: Denoiser, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    """L_simple + lambda L_vlb, where the bound trains the variance alone (improved DDPM eq. 16).

    lambda = 0.001 on the bound as a sum over the T steps; the mean is stopped in the bound.
    """
    x_t, prediction = _predict(denoiser, x_0, t, eps)
    if prediction.variance_fraction is None:
        raise ValueError("the hybrid objective needs a network with a learned variance")
    schedule = denoiser.schedule
    stopped = Prediction(prediction.x_0.detach(), prediction.variance_fraction)
    bound = bound_term(schedule, stopped, x_0, x_t, t) * schedule.T
    return simple_of(schedule, prediction, x_0, t) + HYBRID_WEIGHT * bound


OBJECTIVES: dict[str, Objective] = {
    "simple": simple,
    "v": v,
    "root_v": root_v,
    "even_v": even_v,
    "vlb": vlb,
    "hybrid": hybrid,
}


@torch.no_grad()
def bits_per_dimension(
    denoiser: Denoiser, x_0: Tensor, noise: Callable[[Tensor], Tensor], steps: int | None = None
) -> Tensor:
    """The whole variational bound, (B,) in bits per value, for 8-bit pictures on [-1, 1].

    Args:
        noise: gives standard normals shaped like its argument.
        steps: evaluates at most that many terms (at least 2), which gives the bound without bias:
            the first, and a random one of each stretch of times, longer and longer as the terms
            get smaller. None sums all.
    """
    schedule = denoiser.schedule
    T = schedule.T  # noqa: N806
    if steps is not None and steps < 2:
        raise ValueError("the bound needs at least 2 terms")
    edges = torch.arange(1, T + 2)
    if steps is not None and steps < T:
        rising = torch.logspace(math.log10(2), math.log10(T + 1), steps, dtype=torch.float64)
        edges = torch.cat([torch.ones(1, dtype=torch.long), rising.round().long()]).unique()
    total = torch.zeros(len(x_0), device=x_0.device, dtype=x_0.dtype)
    for first, after in itertools.pairwise(edges.tolist()):
        t = torch.tensor([first / T], dtype=torch.float64)
        if (count := after - first) > 1:
            u = torch.special.ndtr(noise(x_0[:, 0, 0, 0]).double()).cpu()
            t = (first + (u * count).floor().clamp(max=count - 1)) / T
        total += count * vlb(denoiser, x_0, t, noise(x_0))
    alpha, sigma = schedule(1.0)
    zero = torch.zeros((), device=x_0.device, dtype=x_0.dtype)
    log_var = over((sigma**2).log(), x_0)
    prior = gaussian_kl(over(alpha, x_0) * x_0, log_var, zero, zero)  # L_T
    return total + _mean(prior) / math.log(2)
