"""Convolution as an operator."""

from __future__ import annotations

import torch
from torch import Tensor

from .operators import LinearOperator


class Blur(LinearOperator):
    """Convolution with a kernel, A = F^-1 diag(K) F: a picture goes on at its opposite edge.

    A photo does not. Of one, only what the kernel sees of is measured: `Compose(Mask(seen), Blur)`
    on a larger picture, whose margin is as unknown as it was.

    What a kernel all but takes away, below FLOOR of what it keeps best, counts as taken away. No
    file of 8 bits holds it, and A^+ would be noise.

    Args:
        size: (H, W) of the pictures.
        kernel: (h, w), whose middle is the pixel itself: at (h // 2, w // 2).
    """

    FLOOR = 1e-3

    spectrum: Tensor

    def __init__(self, size: tuple[int, int], kernel: Tensor) -> None:
        super().__init__()
        if any(k > n for k, n in zip(kernel.shape, size, strict=True)):
            raise ValueError(f"a kernel of {tuple(kernel.shape)} exceeds a picture of {size}")
        padded = torch.zeros(size, dtype=torch.float64)
        padded[: kernel.shape[0], : kernel.shape[1]] = kernel
        middle = [side // 2 for side in kernel.shape]
        spectrum = torch.fft.rfft2(padded.roll([-m for m in middle], (0, 1)))
        kept = spectrum.abs() >= self.FLOOR * spectrum.abs().max()
        self.size = size
        self.register_buffer("spectrum", torch.where(kept, spectrum, 0))
        self.norm = float(self.spectrum.abs().max()) * (1 + 1e-12)

    def _filtered(self, x: Tensor, response: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(x) * response.to(x.dtype.to_complex())
        return torch.fft.irfft2(spectrum, s=self.size)

    def forward(self, x: Tensor) -> Tensor:
        return self._filtered(x, self.spectrum)

    def adjoint(self, y: Tensor) -> Tensor:
        return self._filtered(y, self.spectrum.conj())

    def pinv(self, y: Tensor) -> Tensor:
        power = self.spectrum.abs().square()
        return self._filtered(y, torch.where(power > 0, self.spectrum.conj() / power, 0))

    def prox(self, z: Tensor, y: Tensor, rho: float) -> Tensor:
        power = self.spectrum.abs().square()
        return z + self._filtered(y - self(z), self.spectrum.conj() / (power + rho))
