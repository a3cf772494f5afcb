"""Checks for plugin authors and for us: operators, methods and samplers against exact answers."""

from __future__ import annotations

import torch
from torch import Tensor

from .engine.conditioning import Observation
from .engine.covariance import Covariance, covariance_of
from .engine.denoiser import Prediction
from .engine.operators import LinearOperator
from .engine.schedule import Schedule, linear, over
from .priors import Prior


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


def check_operator(
    operator: LinearOperator, shape: tuple[int, ...], dtype: torch.dtype = torch.float64
) -> None:
    """Asserts that adjoint, pinv and prox are what they claim, on random pictures.

    Args:
        operator: the one to check; it must leave its arguments as they are.
        shape: (B, C, H, W) of pictures it works on.
        dtype: float32 is checked to 1e-4, float64 to 1e-9, relative to the numbers' size.
    """
    tolerance = 1e-9 if dtype == torch.float64 else 1e-4
    source = torch.Generator().manual_seed(0)

    def random(*size: int) -> Tensor:
        return torch.randn(*size, generator=source, dtype=torch.float64).to(dtype)

    def close(a: Tensor, b: Tensor, what: str) -> None:
        gap = (a - b).abs().max().item() if a.numel() else 0.0
        size = max(1.0, b.abs().max().item() if b.numel() else 0.0)
        assert gap <= tolerance * size, f"{type(operator).__name__}: {what}: off by {gap:.2e}"

    x, z = random(*shape), random(*shape)
    before = x.clone()
    image = operator(x)
    y = random(*image.shape)
    assert torch.equal(x, before), "forward changed its argument"
    assert image.dtype == dtype, "forward changed the type"
    scale = max(1, x.numel()) ** 0.5
    inner = (image * y).sum() / scale, (x * operator.adjoint(y)).sum() / scale
    close(*inner, "<A x, y> = <x, A^T y>")
    close(operator(x + 2 * z), image + 2 * operator(z), "linearity")

    pinv = operator.pinv(image)
    close(operator(pinv), image, "A A^+ A = A")
    close(operator.pinv(operator(pinv)), pinv, "A^+ A A^+ = A^+")
    for rho in (0.01, 1.0, 30.0):
        best = operator.prox(z, y, rho)
        gradient = operator.adjoint(operator(best) - y) + rho * (best - z)
        close(gradient, torch.zeros_like(gradient), f"prox at rho = {rho} is stationary")
    for got in (operator.adjoint(y), pinv, operator.prox(z, y, 1.0)):
        assert got.shape == x.shape and got.dtype == dtype, "shape or type was not kept"
    for _ in range(20):  # towards the largest singular value
        x = x / torch.linalg.vector_norm(x).clamp(min=1e-30)
        image = operator(x)
        size = torch.linalg.vector_norm(image)
        assert size <= operator.norm * (1 + tolerance), "norm is not an upper bound"
        x = operator.adjoint(image)
