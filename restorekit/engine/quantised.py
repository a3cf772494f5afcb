"""JPEG as a measurement: each DCT coefficient is known to lie in a cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .conditioning import Conditioned, Observation
from .covariance import Covariance
from .declared import MethodTraits, marked
from .denoiser import Denoiser, Prediction
from .operators import LinearOperator

BLOCK = 8
PEAK = 127.5  # half of 0..255, for pixels on [-1, 1]
# JFIF's luma and chroma of R, G, B, BT.601.
COLOURS = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
INSIDE = 1e-3  # of a step: how far from a cell's wall a projection stays, for rounding's sake
ROUNDING = 0.3  # deviation that an encoder's own rounding brings into a coefficient
SPREAD = 0.3  # deviation of a prediction's coefficients at most, in steps: sqrt(1 / 12)


@dataclass(frozen=True)
class Plane:
    """A component of a JPEG.

    Attributes:
        k: (rows, columns, 8, 8) quantised coefficients, one block after the other.
        q: (8, 8) the quantisation table.
        shrink: (down, across) how many pixels of the picture one of the plane's stands for.
    """

    k: Tensor
    q: Tensor
    shrink: tuple[int, int] = (1, 1)


def dct_matrix() -> Tensor:
    """(8, 8) orthonormal DCT-II (ITU-T T.81, A.3.3)."""
    k, n = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    basis = torch.cos(math.pi * (2 * n + 1) * k / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


class Quantised(LinearOperator):
    """y = J x, what a JPEG decoder gives; not linear, and many pictures to one.

    What is known is that the luma, and the averaged chroma, of the picture have coefficients in
    [(k - 1/2) q, (k + 1/2) q]. Those pictures are a convex set.

    Args:
        planes: Y, or Y, Cb and Cr; those that are left out are not measured. All cover the same
            pixels.
        offset: (top, left) of the first block in the picture; what the blocks do not cover is not
            measured.

    Shape:
        pictures (B, 3, H, W) on [-1, 1].
    """

    basis: Tensor
    to_planes: Tensor
    to_colours: Tensor

    def __init__(self, planes: Sequence[Plane], offset: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.offset = offset
        self.extent = (0, 0)
        if planes:
            (rows, columns), (down, across) = planes[0].k.shape[:2], planes[0].shrink
            self.extent = rows * BLOCK * down, columns * BLOCK * across
        self.shrinks = [plane.shrink for plane in planes]
        for i, plane in enumerate(planes):
            self.register_buffer(f"k{i}", plane.k.float())
            self.register_buffer(f"q{i}", plane.q.float())
        self.register_buffer("basis", dct_matrix())
        to_planes = torch.tensor(COLOURS)
        self.register_buffer("to_planes", to_planes)
        self.register_buffer("to_colours", torch.linalg.inv(to_planes.double()).float())

    def _steps(self, i: int) -> tuple[Tensor, Tensor]:
        """(1, rows, columns, 8, 8) centres of the cells, and their widths (8, 8)."""
        k, q = getattr(self, f"k{i}"), getattr(self, f"q{i}")
        return (k * q)[None], q

    def analyse(self, x: Tensor) -> list[Tensor]:
        """(B, rows, columns, 8, 8) the coefficients of each plane, as an encoder has them."""
        (top, left), (height, width) = self.offset, self.extent
        x = x[..., top : top + height, left : left + width]
        planes = torch.einsum("pc,bchw->bphw", self.to_planes, PEAK * x)
        planes[:, 0] += PEAK - 128
        found = []
        for i, shrink in enumerate(self.shrinks):
            plane = F.avg_pool2d(planes[:, i : i + 1], shrink)[:, 0]
            blocks = plane.unflatten(2, (-1, BLOCK)).unflatten(1, (-1, BLOCK)).transpose(2, 3)
            found.append(self.basis @ blocks @ self.basis.T)
        return found

    def _synthesise(self, coefficients: Sequence[Tensor]) -> Tensor:
        """The change of a picture that brings a change of its coefficients, and is smallest."""
        planes = [
            F.interpolate(self._samples(c), scale_factor=(float(down), float(across)))
            for (down, across), c in zip(self.shrinks, coefficients, strict=True)
        ]
        return self._picture(planes)

    def _picture(self, planes: list[Tensor]) -> Tensor:
        """Colours on [-1, 1] of Y and, where they are measured, Cb and Cr."""
        planes = planes + [torch.zeros_like(planes[0])] * (3 - len(planes))
        return torch.einsum("cp,bphw->bchw", self.to_colours, torch.cat(planes, 1)) / PEAK

    def _samples(self, coefficients: Tensor) -> Tensor:
        """(B, 1, rows * 8, columns * 8) of blocks of coefficients."""
        blocks = (self.basis.T @ coefficients @ self.basis).transpose(2, 3)
        return blocks.flatten(3, 4).flatten(1, 2)[:, None]

    def decoded(self) -> Tensor:
        """(1, 3, H, W) the file's picture, rounded to 8 bits; smooth between samples of chroma.

        As libjpeg's "fancy" upsampling has it, which is linear interpolation.
        """
        planes = [
            F.interpolate(
                self._samples(self._steps(i)[0]),
                scale_factor=(float(down), float(across)),
                mode="bilinear",
            )
            for i, (down, across) in enumerate(self.shrinks)
        ]
        planes[0] = planes[0] + 128 - PEAK
        return (((self._picture(planes) + 1) * PEAK).round().clamp(0, 2 * PEAK) / PEAK) - 1

    def _moved(self, x: Tensor, where: Callable[[int, Tensor], Tensor]) -> Tensor:
        """The picture whose coefficients are moved to `where`, and which is nearest to x."""
        if not self.shrinks:
            return x
        move = self._synthesise([where(i, c) - c for i, c in enumerate(self.analyse(x))])
        (top, left), (height, width) = self.offset, self.extent
        moved = x.clone()
        moved[..., top : top + height, left : left + width] += move
        return moved

    def forward(self, x: Tensor) -> Tensor:
        """The picture that comes out of the file, chroma as flat as it is coded."""
        return self._moved(x, lambda i, c: (c / self._steps(i)[1]).round() * self._steps(i)[1])

    def pinv(self, y: Tensor) -> Tensor:
        """The decoded picture lies in its own cells."""
        return y

    def prox(self, z: Tensor, y: Tensor, rho: float | Covariance) -> Tensor:
        return self.project(z, y, rho)

    def project(self, z: Tensor, y: Tensor, rho: float | Covariance) -> Tensor:
        """The nearest picture in the cells, distances being those of luma and chroma.

        In closed form, since planes, blocks and coefficients are orthogonal, and an average of n
        pixels moves least where all n move alike.
        """

        def clipped(i: int, c: Tensor) -> Tensor:
            centre, q = self._steps(i)
            reach = (0.5 - INSIDE) * q
            return torch.maximum(torch.minimum(c, centre + reach), centre - reach)

        return self._moved(z, clipped)

    def mean_within(self, x_0: Tensor, r: float) -> Tensor:
        """E[x | cells] for x ~ N(x_0, r^2), each coefficient by itself.

        Args:
            r: deviation on [-1, 1]; what is known of a coefficient bounds it too, by SPREAD steps.
        """

        def inside(i: int, c: Tensor) -> Tensor:
            centre, q = self._steps(i)
            down, across = self.shrinks[i]
            # An average of n pixels, and the encoder's rounding, which widens the cells' walls.
            deviation = (SPREAD * q).clamp(max=PEAK * r / math.sqrt(down * across))
            reach = 0.5 * q + ROUNDING
            return truncated_mean(c, deviation, centre - reach, centre + reach)

        return self._moved(x_0, inside)


def truncated_mean(m: Tensor, r: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The mean of N(m, r^2) given that it lies between low and high.

    m + r (phi(a) - phi(b)) / (Phi(b) - Phi(a)), a and b being the limits in units of r from m.
    Far out, where both differences vanish, by the scaled error function (erfcx), on the side
    where it does not overflow.
    """
    r = r.clamp(min=1e-6).to(m.dtype)
    a, b = (low - m) / r, (high - m) / r
    mirrored = a + b < 0  # let the cell lie on the right
    a, b = torch.where(mirrored, -b, a), torch.where(mirrored, -a, b)
    a, b = a.double(), b.double()
    # exp(-(b^2 - a^2) / 2), the density at b over that at a
    fall = torch.exp(-0.5 * (b - a) * (b + a))
    root = math.sqrt(2)
    right = torch.special.erfcx(a.clamp(min=0) / root) - fall * torch.special.erfcx(b / root)
    straddling = torch.exp(0.5 * a**2) * (torch.erf(b / root) - torch.erf(a / root))
    mass = torch.where(a > 0, right, straddling)
    shift = math.sqrt(2 / math.pi) * (1 - fall) / mass.clamp(min=1e-300)
    shift = torch.where(torch.isfinite(shift), shift, a)
    shift = torch.maximum(torch.minimum(shift, b), a).to(m.dtype)
    return m + r * torch.where(mirrored, -shift, shift)


@marked(MethodTraits(keeps_state=True))  # y tells nothing that the state does not
def quantised(prior: Denoiser, observation: Observation) -> Denoiser:
    """E[x_0 | x_t] drawn into the cells: the mean of a normal law about it, truncated to them.

    For little noise that is clipping, for much the decoder's own picture. Needs an operator with
    `mean_within`, as `Quantised`.

    Raises:
        ValueError: if the operator has no cells.
    """
    a = observation.operator
    if not isinstance(a, Quantised):
        raise ValueError("the method 'quantised' needs a JPEG's cells; use 'diffpir'")

    def correct(x_t: Tensor, t: Tensor, r2: float) -> Prediction:
        p = prior(x_t, t)
        return Prediction(a.mean_within(p.x_0, math.sqrt(r2)), p.variance_fraction)

    return Conditioned(prior, correct)
