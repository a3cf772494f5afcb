"""Denoising functions of other libraries, on [0, 1], as denoisers of the engine, on [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..engine.denoiser import Prediction, WrongAnswer
from ..engine.schedule import Schedule, over
from ..units import sigma_from_engine

Function = Callable[[Tensor, float], Tensor]


class FunctionDenoiser:
    """E[x_0 | x_t] by f(noisy, sigma) -> clean.

    At less noise than it has learned f is told the least, and what it would change counts by the
    share of that noise's variance. With more, the picture is shrunk towards grey until its noise is
    the most, and the answer is enlarged again: what a network without biases would have said.

    Args:
        f: of pictures (B, C, H, W), about [0, 1], and the one deviation of their noise.
        schedule: the diffusion the states belong to.
        heard: the least and the largest noise-to-signal ratio that it was trained at.
        multiple: sides of the pictures are padded to a multiple of this.
        precision: of its layers, by autocast.
        window, turned, bound, bytes_per_pixel: as `engine.traits.Traits` has them.
    """

    def __init__(
        self,
        f: Function,
        schedule: Schedule,
        heard: tuple[float, float],
        multiple: int,
        precision: torch.dtype,
        window: int,
        turned: bool,
        bound: bool,
        bytes_per_pixel: int,
    ) -> None:
        self.f, self.schedule, self.heard = f, schedule, heard
        self.multiple, self.precision = multiple, precision
        self.window, self.turned, self.bound = window, turned, bound
        self.bytes_per_pixel = bytes_per_pixel

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        if t.ndim == 4:
            raise ValueError("this prior takes one time for all pixels; use one trained with maps")
        least, most = self.heard
        ratio = self.schedule.noise_to_signal(t).reshape(-1)
        told, shrunk = ratio.clamp(least, most), (most / ratio).clamp(max=1)
        x = x_t / over(self.schedule(t)[0].reshape(-1), x_t)
        x_0 = self._answers(over(shrunk, x) * x, told) / over(shrunk, x)
        if (ratio < least).any():
            x_0 = torch.lerp(x, x_0, over((ratio / least).clamp(max=1) ** 2, x))
        return Prediction(x_0)

    def _answers(self, x: Tensor, told: Tensor) -> Tensor:
        """Each level is asked about by itself, as f takes one."""
        if len(told) == 1 or bool((told == told[0]).all()):
            return self._answer(x, float(told[0]))
        x_0 = torch.empty_like(x)
        for level in told.unique():
            x_0[told == level] = self._answer(x[told == level], float(level))
        return x_0

    def _answer(self, x: Tensor, level: float) -> Tensor:
        height, width = x.shape[2:]
        beyond = (0, -width % self.multiple, 0, -height % self.multiple)
        noisy = F.pad((x + 1) / 2, beyond, mode="replicate")
        reduced = self.precision != torch.float32
        with torch.autocast(x.device.type, self.precision, enabled=reduced):
            clean = self.f(noisy, sigma_from_engine(level))
        if not isinstance(clean, Tensor) or clean.shape != noisy.shape:
            raise WrongAnswer(clean, f"a picture of {tuple(noisy.shape)}")
        return 2 * clean[..., :height, :width].to(x.dtype) - 1

    def variance(self, t: Tensor) -> Tensor:
        """(sigma_t / alpha_t)^2, as `engine.denoiser.NetworkDenoiser` has it."""
        return self.schedule.noise_to_signal(t) ** 2
