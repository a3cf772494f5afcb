"""Methods: how a measurement y = A x_0 + n enters. Each maps a denoiser to a denoiser.

The exact answer for a Gaussian x_0 | x_t ~ N(m, C) is m + C A^T (A C A^T + sigma_y^2)^-1 (y - A m).
The methods differ in what they take for C and in how they solve for it. All of them use one r_t^2
for the size of C (`Denoiser.variance`), where the papers put a schedule of constants; so none has
a knob that depends on the photo. For C = r_t^2 I, `diffpir` and `pigdm` are exact; so are `ddnm`
without noise or where A A^T = I, `dps` where A A^T = I, and `replace` without noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from .covariance import Covariance, Uneven, covariance_of
from .declared import MethodTraits, Range, marked, of_method
from .denoiser import Denoiser, Prediction
from .operators import LinearOperator, Mask
from .schedule import Schedule, over


@dataclass(frozen=True)
class Degradation:
    """How a clean picture became the observed one: y = A x_0 + n, in engine units.

    Attributes:
        operator: A.
        sigma: of n: the deviation of white noise; a map of it that broadcasts over y,
            (B or 1, C or 1, H, W), where it differs from pixel to pixel; or a `Covariance`.
    """

    operator: LinearOperator
    sigma: float | Tensor | Covariance = 0.0


@dataclass(frozen=True)
class Observation:
    """What a method conditions on.

    Attributes:
        y: the measurement, (1, C, h, w) as A gives it, in engine units.
        degradation: A and the noise; `operator` and `sigma` are short for its own.

    Raises:
        ValueError: if a map or a power spectrum of the noise does not fit y.
    """

    y: Tensor
    degradation: Degradation

    def __post_init__(self) -> None:
        if isinstance(self.sigma, Tensor | Covariance):
            covariance_of(self.sigma).check(self.y)

    @property
    def operator(self) -> LinearOperator:
        return self.degradation.operator

    @property
    def sigma(self) -> float | Tensor | Covariance:
        return self.degradation.sigma

    def rho(self, r2: float) -> float | Covariance:
        """C / r_t^2, the noise over the prediction's variance; sigma_y^2 / r_t^2 where white."""
        r2 = max(r2, 1e-12)
        if isinstance(self.sigma, Tensor | Covariance):
            return covariance_of(self.sigma).scaled(1 / r2)
        return self.sigma**2 / r2

    def part(self, slices: tuple[slice, ...]) -> Observation:
        """What was seen of a part of the picture, where a mask without noise says what was."""
        assert isinstance(self.operator, Mask) and self.sigma == 0
        return Observation(self.y[slices], Degradation(Mask(self.operator.known[slices])))

    def to(self, device: torch.device) -> Observation:
        sigma = self.sigma
        if isinstance(sigma, Tensor | Covariance):
            sigma = sigma.to(device)
        return Observation(
            self.y.to(device), Degradation(self.degradation.operator.to(device), sigma)
        )


Method = Callable[[Denoiser, Observation], Denoiser]


class Conditioned:
    """A denoiser given more than x_t; what every method returns.

    Args:
        prior: the denoiser that is conditioned.
        correct: (x_t, t, r_t^2) -> Prediction, the method proper. It asks the prior as
            `prior(x_t, t).x_0`; r_t^2, a float, is `prior.variance(t)`.
    """

    def __init__(
        self, prior: Denoiser, correct: Callable[[Tensor, Tensor, float], Prediction]
    ) -> None:
        self.prior = prior
        self.correct = correct
        self.schedule: Schedule = prior.schedule

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        t = torch.as_tensor(t, dtype=torch.float64)
        if t.numel() != 1:
            raise ValueError("a conditioned denoiser takes one time for the whole batch")
        return self.correct(x_t, t, float(self.prior.variance(t)))

    def variance(self, t: Tensor) -> Tensor:
        return self.prior.variance(t)


@marked(MethodTraits(keeps_state=True, conditions=False))
def unconditional(prior: Denoiser, observation: Observation) -> Denoiser:
    """Ignores the observation: for denoising, where y is the state itself, and for generation.

    A state holds white noise; noise that is not is made so by `Covariance.whitening`.
    """
    return prior


def needed(method: Method, observation: Observation) -> Tensor | None:
    """(H, W) bool: the pixels of x_0 that a method asks its prior for; None if that is all.

    That is less for a method that keeps what a mask's known pixels say without noise.
    """
    a = observation.operator
    exact = isinstance(observation.sigma, float | int) and observation.sigma == 0
    if not (exact and isinstance(a, Mask) and of_method(method).keeps_known):
        return None
    return (a.known == 0).flatten(0, 1).any(0)


@marked(MethodTraits(keeps_known=True))
def ddnm(prior: Denoiser, observation: Observation) -> Denoiser:
    """x_0 - Sigma_t A^+ (A x_0 - y) (DDNM, Wang et al. 2023, eq. 13; DDNM+, eq. 17).

    Without noise Sigma_t = I and A x_0 = y holds exactly. With noise DDNM+ scales the
    correction down so that it brings in no more noise than the state has, for each singular
    value apart; here Sigma_t is the one gain r_t^2 / (r_t^2 + sigma_y^2), which is optimal for
    A A^T = I. Where A has small singular values and y is noisy, `diffpir` is the better choice.
    For a map of deviations the gain is one for each value of y. Coloured noise is refused.
    """
    a, y = observation.operator, observation.y
    sigma = _deviations(observation, "ddnm")

    def correct(x_t: Tensor, t: Tensor, r2: float) -> Prediction:
        p = prior(x_t, t)
        gain = r2 / (r2 + sigma**2)
        d = a(p.x_0) - y
        move = a.pinv(gain * d) if isinstance(gain, Tensor) else gain * a.pinv(d)
        return Prediction(p.x_0 - move, p.variance_fraction)

    return Conditioned(prior, correct)


@marked(MethodTraits(keeps_known=True))
def diffpir(
    prior: Denoiser, observation: Observation, *, weight: Annotated[float, Range(1e-3, 1e3)] = 1.0
) -> Denoiser:
    """The prox argmin_x |A x - y|^2 + rho_t |x - x_0|^2 (DiffPIR, Zhu et al. 2023).

    rho_t = lambda sigma_y^2 / r_t^2, which for r_t = sigma_t / alpha_t is the paper's.
    For noise N(0, C) it is x_0 + r^2 A^T (r^2 A A^T + C)^-1 (y - A x_0).

    Args:
        weight: lambda, of the prior against a noisy measurement; more is smoother.
    """
    a, y = observation.operator, observation.y

    def correct(x_t: Tensor, t: Tensor, r2: float) -> Prediction:
        p = prior(x_t, t)
        return Prediction(a.project(p.x_0, y, observation.rho(r2 / weight)), p.variance_fraction)

    return Conditioned(prior, correct)


@marked(MethodTraits(keeps_known=True))
def replace(prior: Denoiser, observation: Observation) -> Denoiser:
    """RePaint's known-region rule (Lugmayr et al. 2022, eq. 8): known pixels of x_0 are y's.

    A step of the sampler from there gives the known pixels the law q(x_s | x_0 = y), which is
    what the paper pastes into x_s. Its resampling is time travel, which a recipe asks for. Noise
    in y, whatever its law, is taken for picture. Masks only.
    """
    a = observation.operator
    if not isinstance(a, Mask):
        raise ValueError("the method 'replace' needs a mask; use 'diffpir' or 'ddnm'")

    def correct(x_t: Tensor, t: Tensor, r2: float) -> Prediction:
        p = prior(x_t, t)
        return Prediction(p.x_0 - a(p.x_0) + a(observation.y), p.variance_fraction)

    return Conditioned(prior, correct)


@marked(MethodTraits(keeps_known=True))
def mapped(prior: Denoiser, observation: Observation) -> Denoiser:
    """E[x_0 | x_t, y] itself: the prior is told how noisy each pixel is, and the known are not.

    x_t / alpha_t and y are two measurements of a known pixel, with the variances s^2 and sigma_y^2.
    Together they are one of variance s^2 (1 - w), w = s^2 / (s^2 + sigma_y^2), and so the state of
    a time of its own, 0 where there is no noise. A prior that takes a time for every pixel was
    trained to answer just that (as RAD does for generation, Kim et al. 2025), and nothing is
    approximated but by the network. Masks only, with white noise or a map of its deviations; of a
    map that differs between channels the largest is told.
    """
    a, sigma = observation.operator, _deviations(observation, "mapped")
    if not isinstance(a, Mask):
        raise ValueError("the method 'mapped' needs a mask; use 'diffpir' or 'ddnm'")
    if not getattr(prior, "mapped", False):
        raise ValueError(
            "the method 'mapped' needs a prior that takes a map, trained with network.mapped and "
            "holes; use --method diffpir --sampler snore --steps 8"
        )
    schedule, y, known = prior.schedule, observation.y, a.known
    exact = isinstance(sigma, float | int) and sigma == 0

    def correct(x_t: Tensor, t: Tensor, r2: float) -> Prediction:
        s2 = max(float(schedule.noise_to_signal(t)) ** 2, 1e-12)
        gain = known.to(x_t) * s2 / (s2 + sigma**2)
        x = x_t / over(schedule(t)[0], x_t)
        x = x + gain * (y - x)
        ratio = (s2 * (1 - gain)).sqrt().amax(1, keepdim=True).expand(-1, 1, *x.shape[2:])
        times = schedule.time_for(ratio)
        told = times.amax((1, 2, 3), keepdim=True).expand_as(times)
        p = prior(schedule(times)[0].to(x) * x, torch.cat([times, told], dim=1))
        return Prediction(torch.where(known > 0, y, p.x_0), p.variance_fraction) if exact else p

    return Conditioned(prior, correct)


def _guided(
    prior: Denoiser, x_t: Tensor, t: Tensor, pull: Callable[[Tensor], Tensor], strength: float
) -> Prediction:
    """x_0 + strength sigma_t^2 / alpha_t J^T pull(x_0), J = d x_0 / d x_t (Tweedie's formula)."""
    with torch.inference_mode(False), torch.enable_grad():
        x_t = x_t.detach().clone().requires_grad_()
        p = prior(x_t, t)
        (gradient,) = torch.autograd.grad(p.x_0, x_t, pull(p.x_0.detach()))
    alpha, sigma = prior.schedule(t)
    x_0 = p.x_0.detach() + over(strength * sigma**2 / alpha, x_t) * gradient
    fraction = p.variance_fraction
    return Prediction(x_0, None if fraction is None else fraction.detach())


def pigdm(
    prior: Denoiser, observation: Observation, *, strength: Annotated[float, Range(0, 100)] = 1.0
) -> Denoiser:
    """Pseudo-inverse guidance (PiGDM, Song et al. 2023), with its noisy form.

    x_0 + sigma_t^2 / alpha_t J^T A^T (r_t^2 A A^T + sigma_y^2 I)^-1 (y - A x_0). Costs a backward
    pass. A^T (r^2 A A^T + s^2)^-1 d is prox(0, d, s^2 / r^2) / r^2, for any covariance too.

    Args:
        strength: of the guidance; the equation has 1.
    """
    a, y = observation.operator, observation.y

    def correct(x_t: Tensor, t: Tensor, r2: float) -> Prediction:
        r2 = max(r2, 1e-12)

        def pull(x_0: Tensor) -> Tensor:
            return a.project(torch.zeros_like(x_0), y - a(x_0), observation.rho(r2)) / r2

        return _guided(prior, x_t, t, pull, strength)

    return Conditioned(prior, correct)


def dps(
    prior: Denoiser, observation: Observation, *, strength: Annotated[float, Range(0, 100)] = 1.0
) -> Denoiser:
    """Diffusion posterior sampling (Chung et al. 2023, eq. 16): the gradient of |y - A x_0|^2.

    Needs A and A^T alone. The paper divides by a constant; here by the variance that y - A x_0
    really has, sigma_y^2 + |A|^2 r_t^2, which keeps the step stable without tuning. For a map of
    deviations that is one for each value of y. Coloured noise is refused.

    Args:
        strength: of the gradient; 1 divides it by that variance.
    """
    a, y = observation.operator, observation.y
    sigma = _deviations(observation, "dps")

    def correct(x_t: Tensor, t: Tensor, r2: float) -> Prediction:
        spread = sigma**2 + a.norm**2 * r2

        def pull(x_0: Tensor) -> Tensor:
            d = y - a(x_0)
            if isinstance(spread, Tensor):
                return a.adjoint(d / spread.clamp(min=1e-12))
            return a.adjoint(d) / max(spread, 1e-12)

        return _guided(prior, x_t, t, pull, strength)

    return Conditioned(prior, correct)


def _deviations(observation: Observation, method: str) -> float | Tensor:
    """The noise of a method that weighs each value of y by itself.

    Raises:
        ValueError: if the noise of one value knows of another's.
    """
    sigma = observation.sigma
    if isinstance(sigma, Uneven):
        sigma = sigma.sigma
    if isinstance(sigma, Covariance):
        raise ValueError(
            f"the method {method!r} cannot weigh correlated noise; use 'diffpir' or 'pigdm'"
        )
    return sigma.to(observation.y) if isinstance(sigma, Tensor) else sigma


METHODS: dict[str, Method] = {
    "none": unconditional,
    "ddnm": ddnm,
    "diffpir": diffpir,
    "replace": replace,
    "mapped": mapped,
    "pigdm": pigdm,
    "dps": dps,
}
