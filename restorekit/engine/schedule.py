"""Noise schedules: x_t = alpha_t x_0 + sigma_t eps, with t in [0, 1].

All schedules are variance preserving (alpha_t^2 + sigma_t^2 = 1) and continuous in t. The
discrete chain of T steps is the grid t_i = i / T, where abar_i = alpha_{t_i}^2 = prod(1 - beta).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """Mean and variance of an isotropic Gaussian; the variance broadcasts over the mean."""

    mean: Tensor
    variance: Tensor


class Schedule:
    """A variance preserving diffusion, given by its table of log abar on the grid t_i = i / T.

    Between grid points log abar is linear in t, which is the variance preserving SDE whose beta
    is constant within each step (Song et al. 2021, eq. 11): the chain and its continuous
    version agree exactly on the grid.

    Args:
        log_abar: (T + 1,) strictly decreasing; entry 0 is the clean end, usually 0.

    Raises:
        ValueError: if the table is not one dimensional, finite and strictly decreasing from <= 0.
    """

    def __init__(self, log_abar: Tensor) -> None:
        table = torch.as_tensor(log_abar, dtype=torch.float64).cpu()
        if table.ndim != 1 or len(table) < 2 or not torch.isfinite(table).all():
            raise ValueError("log_abar must be a finite vector of at least two values")
        if table[0] > 0 or (table.diff() >= 0).any():
            raise ValueError("log_abar must decrease strictly from a value of at most 0")
        self.log_abar = table

    @classmethod
    def from_betas(cls, betas: Tensor) -> Schedule:
        """The chain q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I) (DDPM eq. 2)."""
        betas = torch.as_tensor(betas, dtype=torch.float64)
        if (betas <= 0).any() or (betas >= 1).any():
            raise ValueError("every beta must lie strictly between 0 and 1")
        return cls(torch.cat([betas.new_zeros(1), torch.log1p(-betas).cumsum(0)]))

    @property
    def T(self) -> int:  # noqa: N802 - the paper's symbol
        """Number of steps of the discrete chain."""
        return len(self.log_abar) - 1

    @property
    def betas(self) -> Tensor:
        """(T,) float64, beta_1 .. beta_T of the chain."""
        return -torch.expm1(self.log_abar.diff())

    @property
    def abar(self) -> Tensor:
        """(T,) float64, abar_1 .. abar_T: prod(1 - beta)."""
        return self.log_abar[1:].exp()

    def log_abar_at(self, t: Tensor | float) -> Tensor:
        """log abar at times of any shape, float64 on the CPU. Times are clamped to [0, 1]."""
        t = torch.as_tensor(t, dtype=torch.float64, device="cpu").clamp(0, 1)
        position = t * self.T
        i = position.floor().long().clamp(max=self.T - 1)
        return torch.lerp(self.log_abar[i], self.log_abar[i + 1], position - i)

    def __call__(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """alpha_t and sigma_t, float64 on the CPU, of the shape of `t`."""
        log_abar = self.log_abar_at(t)
        return (log_abar / 2).exp(), (-torch.expm1(log_abar)).sqrt()

    def noise_to_signal(self, t: Tensor | float) -> Tensor:
        """sigma_t / alpha_t: the standard deviation of the noise in x_t / alpha_t."""
        return torch.expm1(-self.log_abar_at(t)).sqrt()

    def snr(self, t: Tensor | float) -> Tensor:
        """Signal to noise ratio alpha_t^2 / sigma_t^2 (infinite where there is no noise)."""
        return 1 / torch.expm1(-self.log_abar_at(t)).abs()  # as -0.0 would give -infinity

    def time_for(self, noise_to_signal: Tensor | float) -> Tensor:
        """The time at which sigma_t / alpha_t is the given ratio: inverse of `noise_to_signal`.

        Ratios outside the schedule's range give its first or last time.
        """
        ratio = torch.as_tensor(noise_to_signal, dtype=torch.float64, device="cpu")
        wanted = -torch.log1p(ratio.square())
        falling = -self.log_abar
        i = (torch.searchsorted(falling, (-wanted).contiguous()) - 1).clamp(0, self.T - 1)
        low, high = self.log_abar[i], self.log_abar[i + 1]
        return ((i + (wanted - low) / (high - low)) / self.T).clamp(0, 1)

    def diffuse(self, x_0: Tensor, t: Tensor | float, eps: Tensor) -> Tensor:
        """A draw of q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I) (DDPM eq. 4)."""
        alpha, sigma = self(t)
        return over(alpha, x_0) * x_0 + over(sigma, x_0) * eps

    def transition(self, x_s: Tensor, s: Tensor | float, t: Tensor | float) -> Gaussian:
        """q(x_t | x_s) for s <= t. With t_i - s one grid step this is N(sqrt(1-beta) x, beta)."""
        ratio = self.log_abar_at(t) - self.log_abar_at(s)
        mean = over((ratio / 2).exp(), x_s) * x_s
        return Gaussian(mean, over(-torch.expm1(ratio), x_s))

    def posterior(self, x_t: Tensor, x_0: Tensor, s: Tensor | float, t: Tensor | float) -> Gaussian:
        """q(x_s | x_t, x_0) for s < t (DDPM eq. 6 and 7 where s is one grid step below t)."""
        beta, _ = self.reverse_variances(s, t)
        alpha_s, sigma_s = self(s)
        alpha_t, sigma_t = self(t)
        on_x_0 = alpha_s * beta / sigma_t**2
        on_x_t = alpha_t / alpha_s * sigma_s**2 / sigma_t**2
        variance = beta * sigma_s**2 / sigma_t**2
        return Gaussian(over(on_x_0, x_0) * x_0 + over(on_x_t, x_t) * x_t, over(variance, x_t))

    def reverse_variances(self, s: Tensor | float, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The two extremes of the reverse variance from t to s: beta and beta~ (DDPM 3.2).

        beta~ = beta (1 - abar_s) / (1 - abar_t) vanishes at the clean end. There both factors are
        those of one grid step later, so that its logarithm is finite; improved DDPM, section 3.1,
        takes beta from there too.
        """
        s = torch.as_tensor(s, dtype=torch.float64, device="cpu")
        beta = -torch.expm1(self.log_abar_at(t) - self.log_abar_at(s))
        floor = torch.full_like(s, 1 / self.T)
        var_s = -torch.expm1(self.log_abar_at(torch.maximum(s, floor)))
        var_t = -torch.expm1(self.log_abar_at(torch.maximum(torch.as_tensor(t), 2 * floor)))
        return beta, beta * var_s / var_t

    def log_variance(self, fraction: Tensor, s: Tensor | float, t: Tensor | float) -> Tensor:
        """log sigma_theta^2 = v log beta + (1 - v) log beta~ (improved DDPM eq. 15)."""
        beta, beta_tilde = self.reverse_variances(s, t)
        high, low = over(beta.log(), fraction), over(beta_tilde.log(), fraction)
        return fraction * high + (1 - fraction) * low


def over(values: Tensor, x: Tensor) -> Tensor:
    """Per-example values () or (B,) shaped, typed and placed to broadcast over x (B, ...)."""
    values = values.to(device=x.device, dtype=x.dtype)
    return values.reshape(values.shape + (1,) * (x.ndim - values.ndim)) if values.ndim else values


def linear(T: int = 1000, first: float = 1e-4, last: float = 0.02) -> Schedule:  # noqa: N803
    """beta from 1e-4 to 0.02 in equal steps (DDPM section 4): the default."""
    return Schedule.from_betas(torch.linspace(first, last, T, dtype=torch.float64))


def cosine(T: int = 1000, offset: float = 0.008) -> Schedule:  # noqa: N803
    """abar_t = f(t) / f(0), f(t) = cos^2((t + o) / (1 + o) pi / 2) (improved DDPM eq. 17)."""
    t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2).square()
    return Schedule.from_betas((1 - f[1:] / f[:-1]).clamp(max=0.999))


class Karras(Schedule):
    """The continuous schedule whose noise-to-signal ratio follows EDM eq. 5 exactly.

    sigma_t / alpha_t = (a + t (b - a))^rho with a^rho = sigma_min and b^rho = sigma_max, in
    EDM's units where the data has the standard deviation 0.5, as pixels on [-1, 1] have.
    """

    def __init__(
        self,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
        rho: float = 7.0,
        T: int = 1000,  # noqa: N803
    ) -> None:
        self.rho = rho
        self.ends = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
        t = torch.linspace(0, 1, T + 1, dtype=torch.float64)
        super().__init__(self._formula(t))

    def _formula(self, t: Tensor) -> Tensor:
        a, b = self.ends
        return -torch.log1p((a + t * (b - a)) ** (2 * self.rho))

    def log_abar_at(self, t: Tensor | float) -> Tensor:
        return self._formula(torch.as_tensor(t, dtype=torch.float64, device="cpu").clamp(0, 1))

    def time_for(self, noise_to_signal: Tensor | float) -> Tensor:
        ratio = torch.as_tensor(noise_to_signal, dtype=torch.float64, device="cpu")
        a, b = self.ends
        return ((ratio ** (1 / self.rho) - a) / (b - a)).clamp(0, 1)


SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "linear": linear,
    "cosine": cosine,
    "karras": Karras,
}
