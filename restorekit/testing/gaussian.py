"""The exact denoiser of a Gaussian and its posteriors: the oracle of the checks."""

from __future__ import annotations

import torch
from torch import Tensor

from ..engine.conditioning import Observation
from ..engine.covariance import Covariance, covariance_of
from ..engine.denoiser import Prediction
from ..engine.operators import LinearOperator
from ..engine.schedule import Schedule, linear, over
from ..priors import Prior


class GaussianPrior:
    """The exact denoiser of x_0 ~ N(mean, variance I), with closed-form posteriors.

    Args:
        mean: (1, C, H, W); or (1, C, 1, 1), for pictures of any size.
        variance: of every value.
        schedule: the diffusion; the default chain if None.
    """

    mapped = True  # it takes a time for every pixel
    bound = True  # its answers are exact as they are, and are asked for as they are

    def __init__(self, mean: Tensor, variance: float, schedule: Schedule | None = None) -> None:
        self.mean = mean
        self.prior_variance = variance
        self.schedule = schedule or linear()
        self.channels = mean.shape[1]
        self.halo = 0 if mean.shape[2:] == (1, 1) else None  # one mean serves every tile

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        own = t[:, :1] if t.ndim == 4 else t
        alpha, sigma = (over(value, x_t) for value in self.schedule(own))
        gain = self.prior_variance * alpha / (alpha**2 * self.prior_variance + sigma**2)
        mean = self.mean.to(x_t)
        return Prediction(mean + gain * (x_t - alpha * mean))

    def variance(self, t: Tensor) -> Tensor:
        """Var[x_0 | x_t], which is the same for every value."""
        s2 = self.schedule.noise_to_signal(t) ** 2
        return s2 * self.prior_variance / (s2 + self.prior_variance)

    def prior(self, name: str = "gaussian") -> Prior:
        """What `Choices(prior=...)` takes."""

        def load(device: torch.device, precision: str) -> GaussianPrior:
            return self

        described = {"mean": self.mean.tolist(), "variance": self.prior_variance}
        return Prior(name, (), self.channels, None, self.halo, described, load)

    def posterior(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Mean and per-value variance of x_0 | y, by dense linear algebra in float64.

        Small pictures only: the operator is written out as a matrix.
        """
        a = dense(observation.operator, self.mean.shape)
        measured = a.abs().sum(1) > 0  # a row of zeros measures nothing, nor its noise
        a = a[measured]
        y = observation.y.double().flatten()[measured]
        noise = dense_noise(observation.sigma, observation.y.shape)[measured][:, measured]
        c = self.prior_variance
        gram = c * a @ a.T + noise
        gain = c * a.T @ torch.linalg.pinv(gram, hermitian=True)
        mean = self.mean.double().flatten()
        posterior = mean + gain @ (y - a @ mean)
        variance = c - c * (gain * a.T).sum(1)
        return posterior.reshape(self.mean.shape), variance.reshape(self.mean.shape)


def dense(operator: LinearOperator, shape: tuple[int, ...] | torch.Size) -> Tensor:
    """The matrix of an operator on pictures (1, C, H, W), (m, C H W) float64."""
    n = shape[1] * shape[2] * shape[3]
    basis = torch.eye(n, dtype=torch.float64).reshape(n, *shape[1:])
    return operator(basis).reshape(n, -1).T


def dense_noise(sigma: float | Tensor | Covariance, shape: tuple[int, ...] | torch.Size) -> Tensor:
    """The matrix C of the noise in measurements (1, C, h, w), (C h w, C h w) float64."""
    n = shape[1] * shape[2] * shape[3]
    basis = torch.eye(n, dtype=torch.float64)
    if not isinstance(sigma, Tensor | Covariance):
        return sigma**2 * basis
    return covariance_of(sigma)(basis.reshape(n, *shape[1:])).reshape(n, n)
