"""Denoisers: functions (x_t, t) -> E[x_0 | x_t]. Conditioning and the rest wrap them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

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


class Denoiser(Protocol):
    """E[x_0 | x_t], maybe given more than x_t."""

    schedule: Schedule

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        """x_t (B, C, H, W); t () or (1,) for one time shared by the batch, or (B,)."""
        ...

    def variance(self, t: Tensor) -> Tensor:
        """r_t^2, what a method takes for Var[x_0 | x_t] in the directions it measured; like t."""
        ...


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
    the same weights serve every schedule.

    Args:
        network: (x, log_noise) -> out; with twice the channels where the variance is learned.
        schedule: the diffusion the states belong to.
        parametrisation: a name in PARAMETRISATIONS.
        sigma_data: standard deviation of the data, in engine units.
        precision: of the network's layers; all else is in the precision of the state.
        halo, multiple: how far the network sees and the grid it works on, for `Tiled`; a halo
            of None means that it sees everything.
        channels: of the pictures.
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
    ) -> None:
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.parametrise = PARAMETRISATIONS[parametrisation]
        self.sigma_data = sigma_data
        self.precision = precision
        self.halo, self.multiple, self.channels = halo, multiple, channels

    def forward(self, x_t: Tensor, t: Tensor) -> Prediction:
        ratio = self.schedule.noise_to_signal(t).clamp(min=1e-4).reshape(-1)
        s = over(ratio, x_t)
        x = x_t / over(self.schedule(t)[0].reshape(-1), x_t)
        log_noise = ratio.log().to(x_t.device, x_t.dtype)
        reduced = self.precision != torch.float32
        with torch.autocast(x_t.device.type, self.precision, enabled=reduced):
            out = self.network(x / (s**2 + self.sigma_data**2).sqrt(), log_noise).to(x_t.dtype)
        fraction = None
        if out.shape[1] == 2 * x_t.shape[1]:
            out, fraction = out.chunk(2, dim=1)
            fraction = (fraction + 1) / 2
        return Prediction(self.parametrise(out, x, s, self.sigma_data), fraction)

    def variance(self, t: Tensor) -> Tensor:
        """(sigma_t / alpha_t)^2, which bounds it in every direction.

        What a low-pass operator sees of a photo varies far more than its single pixels do, so a
        bound from their variance is too small there, and lets guidance diverge.
        """
        return self.schedule.noise_to_signal(t) ** 2


class Tiled:
    """Evaluates a local denoiser tile by tile: the same numbers, with memory bounded by the tile.

    Args:
        denoiser: one whose output at a pixel depends on pixels at most `halo` away.
        tile: side of the tiles; a multiple of `multiple`.
        halo: how far the denoiser sees, a multiple of `multiple` too.
    """

    def __init__(self, denoiser: Denoiser, tile: int, halo: int, multiple: int) -> None:
        if tile < 1 or tile % multiple or halo % multiple:
            raise ValueError(f"tile and halo must be multiples of {multiple}")
        self.denoiser, self.tile, self.halo = denoiser, tile, halo
        self.schedule = denoiser.schedule

    def variance(self, t: Tensor) -> Tensor:
        return self.denoiser.variance(t)

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        height, width = x_t.shape[-2:]
        if max(height, width) <= self.tile:
            return self.denoiser(x_t, t)
        x_0, fraction = torch.empty_like(x_t), None
        for top in range(0, height, self.tile):
            for left in range(0, width, self.tile):
                rows, inner_rows = self._reach(top, height)
                columns, inner_columns = self._reach(left, width)
                p = self.denoiser(x_t[..., rows, columns], t)
                target = (..., slice(top, top + self.tile), slice(left, left + self.tile))
                x_0[target] = p.x_0[..., inner_rows, inner_columns]
                if p.variance_fraction is not None:
                    fraction = torch.empty_like(x_t) if fraction is None else fraction
                    fraction[target] = p.variance_fraction[..., inner_rows, inner_columns]
        return Prediction(x_0, fraction)

    def _reach(self, first: int, length: int) -> tuple[slice, slice]:
        """The tile grown by the halo within the picture, and the tile's place in that."""
        low, high = max(0, first - self.halo), min(length, first + self.tile + self.halo)
        end = min(length, first + self.tile)
        return slice(low, high), slice(first - low, end - low)


class Ensemble:
    """Self-ensemble: the mean answer over the eight flips and quarter turns of the picture.

    What a network answers should turn with the picture; averaging takes out the part of its error
    that does not (Timofte et al. 2016, section 3.5). Costs eight evaluations.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser
        self.schedule = denoiser.schedule

    def variance(self, t: Tensor) -> Tensor:
        return self.denoiser.variance(t)

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        x_0 = torch.zeros_like(x_t)
        fraction: Tensor | None = None
        for flipped in (False, True):
            for turns in range(4):
                seen = x_t.flip(-1) if flipped else x_t
                p = self.denoiser(seen.rot90(turns, (-2, -1)), t)
                x_0 += _turned_back(p.x_0, turns, flipped)
                if p.variance_fraction is not None:
                    back = _turned_back(p.variance_fraction, turns, flipped)
                    fraction = back if fraction is None else fraction + back
        return Prediction(x_0 / 8, None if fraction is None else fraction / 8)


def _turned_back(x: Tensor, turns: int, flipped: bool) -> Tensor:
    x = x.rot90(-turns, (-2, -1))
    return x.flip(-1) if flipped else x
