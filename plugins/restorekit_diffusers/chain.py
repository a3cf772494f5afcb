"""A network of a discrete chain, as diffusers has them, is a denoiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit.engine.denoiser import Prediction
from restorekit.engine.schedule import Schedule, over

Network = Callable[[Tensor, Tensor], Tensor]
Predict = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def from_eps(out: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The network gives eps (DDPM eq. 11)."""
    return (x_t - sigma * out) / alpha


def from_v(out: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The network gives v = alpha eps - sigma x_0 (Salimans and Ho 2022, appendix D)."""
    return alpha * x_t - sigma * out


def from_sample(out: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The network gives x_0 itself."""
    return out


PREDICTIONS: dict[str, Predict] = {
    "epsilon": from_eps,
    "v_prediction": from_v,
    "sample": from_sample,
}


class ChainDenoiser:
    """A network that was trained on the steps 0 .. T - 1 of a chain.

    Step k of the chain is the time (k + 1) / T. Between the steps the network is told a fraction,
    which its embedding, of sines and cosines, takes; below the first it is asked at the first, and
    what it would change counts by the share of the noise's variance.

    Args:
        network: (x_t, k of shape (B,)) -> out; with twice the channels where a variance is learned.
        schedule: the chain's.
        predict: what `out` is, one of PREDICTIONS.
        learned: how its variance is learned: "learned_range" for v of improved DDPM eq. 15, from -1
            to 1; "learned" for the variance of a step of the chain itself; None for none.
        clip: x_0 lies between -clip and clip; None where it may be anything.
        precision: of the network's layers; all else is in the precision of the state.
        multiple: sides are padded to a multiple of this, and to two at least.
        channels: of the states.
        bytes_per_pixel: what an evaluation takes, at its peak.
        window: side of the pictures it was trained on.
    """

    halo: int | None = None  # group norms see everything
    turned = False
    bound = False
    mapped = False

    def __init__(
        self,
        network: Network,
        schedule: Schedule,
        predict: Predict,
        *,
        learned: str | None = None,
        clip: float | None = None,
        precision: torch.dtype = torch.float32,
        multiple: int = 1,
        channels: int = 3,
        bytes_per_pixel: int = 1024,
        window: int = 256,
    ) -> None:
        self.network, self.schedule, self.predict = network, schedule, predict
        self.learned, self.clip, self.precision = learned, clip, precision
        self.multiple, self.channels = multiple, channels
        self.bytes_per_pixel, self.window = bytes_per_pixel, window
        low, high = schedule.noise_to_signal(torch.tensor([1 / schedule.T, 1.0])).tolist()
        self.heard = low, high

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        t = torch.as_tensor(t, dtype=torch.float64, device="cpu")
        if t.ndim == 4:
            raise ValueError("this prior takes one time for all pixels; use another --method")
        t = t.reshape(-1)
        told = t.clamp(min=1 / self.schedule.T)
        alpha, sigma = (over(value, x_t) for value in self.schedule(told))
        x = x_t / over(self.schedule(t)[0], x_t)
        seen = x_t if torch.equal(told, t) else alpha * x
        out = self._asked(seen, told * self.schedule.T - 1)
        fraction = None
        if self.learned is not None:
            out, fraction = out.chunk(2, dim=1)
            fraction = self._fraction(fraction, told)
        x_0 = self.predict(out, seen, alpha, sigma)
        if self.clip is not None:
            x_0 = x_0.clamp(-self.clip, self.clip)
        if seen is not x_t:
            ratio, least = self.schedule.noise_to_signal(t), self.heard[0]
            x_0 = torch.lerp(x, x_0, over((ratio / least).clamp(max=1) ** 2, x_t))
        return Prediction(x_0, fraction)

    def _asked(self, x_t: Tensor, k: Tensor) -> Tensor:
        """What the network says of a state of any size."""
        height, width = x_t.shape[-2:]
        m = self.multiple
        # Two of the coarsest level's pixels at least: of one alone its norms have no variance.
        right, below = (max(-(-side // m), 2) * m - side for side in (width, height))
        padded = F.pad(x_t, (0, right, 0, below), mode="replicate")
        k = k.to(x_t.device, torch.float32).expand(len(x_t))
        reduced = self.precision != torch.float32
        with torch.autocast(x_t.device.type, self.precision, enabled=reduced):
            out = self.network(padded, k).to(x_t.dtype)
        return out[..., :height, :width]

    def _fraction(self, out: Tensor, t: Tensor) -> Tensor:
        """v of improved DDPM eq. 15, which any step makes a variance of."""
        if self.learned == "learned_range":
            return (out + 1) / 2
        high, low = (
            over(variance.log(), out)
            for variance in self.schedule.reverse_variances(t - 1 / self.schedule.T, t)
        )
        return (out.clamp(min=1e-20).log() - low) / (high - low)

    def variance(self, t: Tensor) -> Tensor:
        """(sigma_t / alpha_t)^2, which bounds it in every direction."""
        return self.schedule.noise_to_signal(t) ** 2

    def __repr__(self) -> str:
        return f"ChainDenoiser({self.predict.__name__}, T={self.schedule.T})"


def answer(network: Any, x_t: Tensor, k: Tensor) -> Tensor:
    """The output of a UNet2DModel."""
    out: Tensor = network(x_t, k).sample
    return out
