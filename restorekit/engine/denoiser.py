"""Denoisers: functions (x_t, t) -> E[x_0 | x_t]. Conditioning and the rest wrap them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from .regions import Box
from .schedule import Schedule, over


@dataclass(frozen=True)
class Prediction:
    """What a denoiser says of a state.

    Attributes:
        x_0: E[x_0 | x_t], (B, C, H, W).
        variance_fraction: v of improved DDPM eq. 15, (B, C, H, W), where the network learned
            it; `Schedule.log_variance` makes sigma_theta of it for whichever step is taken.
    """

    x_0: Tensor
    variance_fraction: Tensor | None = None


class WrongAnswer(ValueError):  # noqa: N818 - of whoever was asked
    """Something else than what was due: "gives a NoneType, where ... is due"."""

    def __init__(self, given: object, due: str) -> None:
        what = f"a {type(given).__name__}"
        if isinstance(given, Tensor):
            what = f"a tensor of {tuple(given.shape)}"
        super().__init__(f"gives {what}, where {due} is due")


def answered(given: object, x_t: Tensor) -> Prediction:
    """What a denoiser says of x_t. Raises WrongAnswer if it is no prediction of x_t's shape."""
    due = f"a Prediction with x_0 of {tuple(x_t.shape)}"
    if not isinstance(given, Prediction):
        raise WrongAnswer(given, due)
    if not isinstance(given.x_0, Tensor) or given.x_0.shape != x_t.shape:
        raise WrongAnswer(given.x_0, due)
    return given


class Denoiser(Protocol):
    """E[x_0 | x_t], maybe given more than x_t."""

    schedule: Schedule

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        """x_t (B, C, H, W); t () or (1,) for one time shared by the batch, or (B,).

        Some take a time for every pixel too, (B or 1, 1, H, W): x_t = alpha_t x_0 + sigma_t eps
        with each pixel's own t, 0 where it is known. A second channel holds the latest time of the
        whole picture, of which this may be a tile.
        """
        ...

    def variance(self, t: Tensor) -> Tensor:
        """r_t^2, what a method takes for Var[x_0 | x_t] in the directions it measured; like t."""
        ...


class Boxed(Protocol):
    """A denoiser that may be told where its answer is needed."""

    schedule: Schedule

    def __call__(self, x_t: Tensor, t: Tensor, box: Box) -> Prediction: ...

    def variance(self, t: Tensor) -> Tensor: ...


class Inside:
    """A denoiser that takes a box, asked with one. See `inside`."""

    def __init__(self, denoiser: Boxed, box: Box) -> None:
        self.denoiser, self.box, self.schedule = denoiser, box, denoiser.schedule

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        return self.denoiser(x_t, t, self.box)

    def variance(self, t: Tensor) -> Tensor:
        return self.denoiser.variance(t)


def inside(denoiser: Denoiser, box: Box) -> Denoiser:
    """The same, asked only about what lies in a box of its pictures: elsewhere it may say anything.

    That costs less where its network can leave things out; it is the denoiser itself where that has
    no method of this name, which gives such a one.
    """
    method = getattr(denoiser, "inside", None)
    asked: Denoiser = denoiser if method is None else method(box)
    return asked


Parametrisation = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def predict_x_0(out: Tensor, x: Tensor, s: Tensor, sigma_data: float) -> Tensor:
    """The network gives x_0 itself."""
    return out


def predict_eps(out: Tensor, x: Tensor, s: Tensor, sigma_data: float) -> Tensor:
    """The network gives eps (DDPM eq. 11): x_0 = x - s eps, where x = x_t / alpha_t."""
    return x - s * out


def predict_v(out: Tensor, x: Tensor, s: Tensor, sigma_data: float) -> Tensor:
    """The network gives v = alpha eps - sigma x_0 (Salimans and Ho 2022, appendix D).

    Written for data of standard deviation sigma_data, where it is EDM's preconditioning
    (Karras et al. 2022, table 1): x_0 = c_skip x - c_out v.
    """
    total = s**2 + sigma_data**2
    return sigma_data**2 / total * x - s * sigma_data / total.sqrt() * out


PARAMETRISATIONS: dict[str, Parametrisation] = {
    "x_0": predict_x_0,
    "eps": predict_eps,
    "v": predict_v,
}


class NetworkDenoiser(nn.Module):
    """A network, a schedule and a parametrisation make a denoiser.

    The network sees x_t / alpha_t scaled to unit variance, and log(sigma_t / alpha_t), so that
    the same weights serve every schedule. Of a time for every pixel it is told the noisiest one's,
    and in a channel of its own the share of that noise which each pixel lacks.

    Args:
        network: (x, log_noise) -> out; with twice the channels where the variance is learned.
        schedule: the diffusion the states belong to.
        parametrisation: a name in PARAMETRISATIONS.
        sigma_data: standard deviation of the data, in engine units.
        precision: of the network's layers; all else is in the precision of the state.
        halo, multiple: how far the network sees and the grid it works on, for `Tiled`; a halo
            of None means that it sees everything.
        channels: of the pictures.
        bytes_per_pixel: what an evaluation takes, at its peak.
        window: side of the pictures it was trained on, for `Windowed`.
        heard: the least and the largest noise-to-signal ratio that the network was trained at.
            Beyond them it is told the nearest, since it may answer anything to a number that it
            never heard. Below, what it would change counts by the share of the noise's variance.
        turned: whether it was trained on pictures in quarter turns too, besides mirrored ones.
        bound: whether it was trained to take the level that it is told for an upper bound: there
            may be less noise, or none.
        mapped: whether the network takes a time for every pixel.
    """

    def __init__(
        self,
        network: nn.Module,
        schedule: Schedule,
        parametrisation: str = "v",
        sigma_data: float = 0.5,
        precision: torch.dtype = torch.float32,
        halo: int | None = None,
        multiple: int = 1,
        channels: int = 3,
        bytes_per_pixel: int = 1024,
        window: int = 256,
        heard: tuple[float, float] = (0.0, math.inf),
        turned: bool = True,
        bound: bool = False,
        mapped: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.parametrise = PARAMETRISATIONS[parametrisation]
        self.sigma_data = sigma_data
        self.precision = precision
        self.halo, self.multiple, self.channels = halo, multiple, channels
        self.bytes_per_pixel, self.window = bytes_per_pixel, window
        self.heard, self.turned, self.bound, self.mapped = heard, turned, bound, mapped

    def inside(self, box: Box) -> Denoiser:
        """See the function of that name."""
        return Inside(self, box) if getattr(self.network, "prunes", False) else self

    def forward(self, x_t: Tensor, t: Tensor, box: Box | None = None) -> Prediction:
        """E[x_0 | x_t]; with a box, what lies around that may be anything."""
        per_pixel = t.ndim == 4
        if per_pixel and not self.mapped:
            raise ValueError("this prior takes one time for all pixels; use one trained with maps")
        ratio = self.schedule.noise_to_signal(t).clamp(min=1e-4)
        alpha = self.schedule(t)[0]
        if not per_pixel:
            ratio, alpha = ratio.reshape(-1), alpha.reshape(-1)
        told = ratio[:, -1].flatten(1).amax(1) if per_pixel else ratio
        if per_pixel:
            ratio, alpha = ratio[:, :1], alpha[:, :1]
        least, most = self.heard
        s = over(ratio if per_pixel else ratio.clamp(min=least), x_t)
        x = x_t / over(alpha, x_t)
        log_noise = told.clamp(least, most).log().to(x_t.device, x_t.dtype)
        seen = x / (s**2 + self.sigma_data**2).sqrt()
        if self.mapped:
            lacks = 1 - ratio / over(told, ratio) if per_pixel else ratio.new_zeros(1, 1, 1, 1)
            lacks = lacks.to(seen).expand(len(seen), 1, *seen.shape[2:])
            seen = torch.cat([seen, lacks], dim=1)
        reduced = self.precision != torch.float32
        with torch.autocast(x_t.device.type, self.precision, enabled=reduced):
            where = () if box is None else (box,)
            out = self.network(seen, log_noise, *where).to(x_t.dtype)
        fraction = None
        if out.shape[1] == 2 * x_t.shape[1]:
            out, fraction = out.chunk(2, dim=1)
            fraction = (fraction + 1) / 2
        x_0 = self.parametrise(out, x, s, self.sigma_data)
        if (told < least).any():
            x_0 = torch.lerp(x, x_0, over((told / least).clamp(max=1) ** 2, x_t))
        return Prediction(x_0, fraction)

    def variance(self, t: Tensor) -> Tensor:
        """(sigma_t / alpha_t)^2, which bounds it in every direction.

        What a low-pass operator sees of a photo varies far more than its single pixels do, so a
        bound from their variance is too small there, and lets guidance diverge.
        """
        return self.schedule.noise_to_signal(t) ** 2
