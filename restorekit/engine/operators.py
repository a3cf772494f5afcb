"""Linear operators A of measurements y = A x + n, each with adjoint, pseudo-inverse and prox."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .covariance import Covariance
from .solver import conjugate_gradients, least_squares


class LinearOperator(nn.Module):
    """A linear map of pictures. Calls never mutate; buffers follow `.to()`.

    Subclasses give `forward` and `adjoint`; `pinv` and `prox` fall back to conjugate gradients, and
    should be overridden where there is a closed form.

    Attributes:
        norm: an upper bound of the largest singular value.
    """

    norm: float = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """A x for x (B, C, H, W)."""
        raise TypeError(f"{type(self).__name__} does not say what A x is")

    def adjoint(self, y: Tensor) -> Tensor:
        """A^T y: <A x, y> = <x, A^T y>."""
        raise TypeError(f"{type(self).__name__} does not say what A^T y is")

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y, the x of least norm among those that minimise |A x - y|."""
        return least_squares(self, self.adjoint, y)

    def prox(self, z: Tensor, y: Tensor, rho: float) -> Tensor:
        """argmin_x |A x - y|^2 + rho |x - z|^2, for rho > 0."""
        b = self.adjoint(y) + rho * z
        return conjugate_gradients(lambda x: self.adjoint(self(x)) + rho * x, b, z)

    def project(self, z: Tensor, y: Tensor, rho: float | Covariance) -> Tensor:
        """The prox, and its limit for rho = 0: z - A^+ (A z - y), the nearest x with A x = y.

        Where rho is a covariance, what the prox is for rho I: z + A^T (A A^T + rho)^-1 (y - A z).
        """
        if isinstance(rho, Covariance):
            return z + self.adjoint(self.weighed(y - self(z), rho))
        return self.prox(z, y, rho) if rho > 0 else z - self.pinv(self(z) - y)

    def weighed(self, d: Tensor, rho: Covariance) -> Tensor:
        """(A A^T + rho)^-1 d."""
        return conjugate_gradients(lambda s: self(self.adjoint(s)) + rho(s), d, torch.zeros_like(d))


class Identity(LinearOperator):
    """A = I: denoising."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        return y

    def pinv(self, y: Tensor) -> Tensor:
        return y

    def prox(self, z: Tensor, y: Tensor, rho: float) -> Tensor:
        return (y + rho * z) / (1 + rho)

    def weighed(self, d: Tensor, rho: Covariance) -> Tensor:
        return rho.damped(d)


class Nothing(LinearOperator):
    """A with zero rows: nothing was measured, which is unconditional generation.

    Shape:
        (B, C, H, W) -> (B, C, 0, W).

    Args:
        size: (H, W) of the pictures.
    """

    norm = 0.0

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :0, :]

    def adjoint(self, y: Tensor) -> Tensor:
        return y.new_zeros(*y.shape[:-2], *self.size)

    def pinv(self, y: Tensor) -> Tensor:
        return self.adjoint(y)

    def prox(self, z: Tensor, y: Tensor, rho: float) -> Tensor:
        return z

    def weighed(self, d: Tensor, rho: Covariance) -> Tensor:
        return d


class Mask(LinearOperator):
    """A x = m x with m in {0, 1}: the known pixels, the others zero.

    Args:
        known: (1 or B, 1 or C, H, W), 1 where the pixel is known.
    """

    known: Tensor

    def __init__(self, known: Tensor) -> None:
        super().__init__()
        if not torch.isin(known, torch.tensor([0, 1], dtype=known.dtype)).all():
            raise ValueError("a mask holds 0 and 1 only")
        self.register_buffer("known", known)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.known.to(x.dtype)

    def adjoint(self, y: Tensor) -> Tensor:
        return self(y)

    def pinv(self, y: Tensor) -> Tensor:
        return self(y)

    def prox(self, z: Tensor, y: Tensor, rho: float) -> Tensor:
        known = self.known.to(z.dtype)
        return (known * y + rho * z) / (known + rho)

    def project(self, z: Tensor, y: Tensor, rho: float | Covariance) -> Tensor:
        if isinstance(rho, Covariance) or rho > 0:
            return super().project(z, y, rho)
        return torch.where(self.known > 0, y, z)

    def weighed(self, d: Tensor, rho: Covariance) -> Tensor:
        """Among the known pixels alone: of the others there is no y, and no noise in it."""
        d = self(d)
        if not rho.correlated:
            return rho.damped(d)
        return conjugate_gradients(lambda s: s + self(rho(s)), d, torch.zeros_like(d))


class Grey(LinearOperator):
    """A x = B (mean of x over its channels): a black-and-white photo of a coloured world.

    Since G G^T = I / C for the mean G, pinv and prox are those of B, carried over.

    Shape:
        (B, C, H, W) -> what B makes of (B, 1, H, W).

    Args:
        then: B, which acts on the grey picture.
    """

    def __init__(self, then: LinearOperator, channels: int = 3) -> None:
        super().__init__()
        self.then = then
        self.channels = channels
        self.norm = then.norm * channels**-0.5

    def _mean(self, x: Tensor) -> Tensor:
        return x.mean(1, keepdim=True)

    def _spread(self, grey: Tensor) -> Tensor:
        return grey.expand(-1, self.channels, -1, -1)

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self._mean(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return self._spread(self.then.adjoint(y)) / self.channels

    def pinv(self, y: Tensor) -> Tensor:
        return self._spread(self.then.pinv(y)).contiguous()

    def prox(self, z: Tensor, y: Tensor, rho: float) -> Tensor:
        grey = self._mean(z)
        return z + self._spread(self.then.prox(grey, y, rho * self.channels) - grey)

    def weighed(self, d: Tensor, rho: Covariance) -> Tensor:
        return self.channels * self.then.weighed(d, rho.scaled(self.channels))


class Resample(LinearOperator):
    """Separable resampling, A = A_h x A_w^T: one small banded matrix for each axis.

    Shape:
        (B, C, H, W) -> (B, C, h, w).

    Args:
        size: (H, W) of the pictures A works on.
        to: (h, w) of what it gives.
        kernel: `bicubic` or `area`.
    """

    DIRECT = 8192  # pixels a side of y, up to which A A^T is worth an eigenbasis: it takes side^3

    def __init__(
        self, size: tuple[int, int], to: tuple[int, int], kernel: Kernel | None = None
    ) -> None:
        super().__init__()
        self.axes = [Axis(n, m, kernel or bicubic) for n, m in zip(size, to, strict=True)]

    @property
    def norm(self) -> float:  # type: ignore[override]
        return math.prod(float(gram_eigensystem(axis)[0].max()) ** 0.5 for axis in self.axes)

    def forward(self, x: Tensor) -> Tensor:
        return self._along_both(x, False)

    def adjoint(self, y: Tensor) -> Tensor:
        return self._along_both(y, True).contiguous()

    def _along_both(self, x: Tensor, transposed: bool) -> Tensor:
        h, w = (banded(axis, transposed, x.dtype, x.device) for axis in self.axes)
        return along_rows(w, along_rows(h, x).mT).mT

    def _solve(self, y: Tensor, rho: float) -> Tensor:
        """(A A^T + rho I)^-1 y in the eigenbasis of A A^T; its pseudo-inverse for rho = 0."""
        if max(axis.m for axis in self.axes) > self.DIRECT:
            return conjugate_gradients(
                lambda s: self(self.adjoint(s)) + rho * s, y, torch.zeros_like(y)
            )
        (on_h, u), (on_w, v) = (gram_eigensystem(axis) for axis in self.axes)
        eigenvalues = torch.outer(on_h, on_w)
        kept = eigenvalues > 1e-10 * eigenvalues.max()
        inverse = torch.where(kept | (rho > 0), 1 / (eigenvalues + rho), 0.0).to(y)
        u, v = u.to(y), v.to(y)
        return u @ ((u.T @ y @ v) * inverse) @ v.T

    def pinv(self, y: Tensor) -> Tensor:
        return self.adjoint(self._solve(y, 0.0))

    def prox(self, z: Tensor, y: Tensor, rho: float) -> Tensor:
        return z + self.adjoint(self._solve(y - self(z), rho))


def along_rows(matrix: Tensor, x: Tensor) -> Tensor:
    """An (m, n) matrix on the rows of each (..., n, k): (..., m, k)."""
    flat = x.movedim(-2, 0)
    product = matrix @ flat.reshape(len(flat), -1)
    return product.reshape(-1, *flat.shape[1:]).movedim(0, -2)


Kernel = Callable[[Tensor, float], Tensor]


def bicubic(distance: Tensor, stretch: float) -> Tensor:
    """Keys' cubic (1981) with a = -0.5, widened by `stretch` against aliasing."""
    x = (distance / stretch).abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


def area(distance: Tensor, stretch: float) -> Tensor:
    """The overlap of an input pixel with the output pixel, `stretch` input pixels wide."""
    return ((stretch + 1) / 2 - distance.abs()).clamp(0, min(1.0, stretch))


class Axis(NamedTuple):
    """Resampling along one side: n values to m."""

    n: int
    m: int
    kernel: Kernel


def taps_of(axis: Axis) -> tuple[Tensor, Tensor]:
    """(m, k) places among the n values, and their float64 weights in each of the m.

    Pixel centres map as (i + 0.5) n / m - 0.5; beyond the edges the picture is mirrored, edge
    pixel included, as in the super-resolution literature, so that a place may come twice.
    """
    n, m, kernel = axis
    if n < 1 or m < 1:
        raise ValueError(f"cannot resample {n} pixels to {m}")
    stretch = max(n / m, 1.0)
    centre = (torch.arange(m, dtype=torch.float64) + 0.5) * n / m - 0.5
    reach = math.ceil(2 * stretch) + 1
    position = centre.floor()[:, None] + torch.arange(-reach, reach + 1, dtype=torch.float64)
    weight = kernel(position - centre[:, None], stretch)
    mirrored = torch.remainder(position, 2 * n)
    place = torch.minimum(mirrored, 2 * n - 1 - mirrored).long()
    return place, weight / weight.sum(1, keepdim=True)


@functools.lru_cache(maxsize=16)
@torch.inference_mode(False)  # as it is kept for whoever asks next
def banded(axis: Axis, transposed: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The (m, n) matrix that resamples n values to m, or its transpose; sparse where that works."""
    place, weight = taps_of(axis)
    row = torch.arange(axis.m)[:, None].expand_as(place)
    where = torch.stack([row.flatten(), place.flatten()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of CSR being new, and not checked
        matrix = torch.sparse_coo_tensor(where, weight.flatten(), (axis.m, axis.n))
        matrix = (matrix.T if transposed else matrix).coalesce().to(dtype)
        if device.type == "mps":  # which knows no sparse matrices
            return matrix.to_dense().to(device)
        return matrix.to(device).to_sparse_csr()


@functools.lru_cache(maxsize=4)
@torch.inference_mode(False)
def gram_eigensystem(axis: Axis) -> tuple[Tensor, Tensor]:
    """Eigenvalues (m,) and eigenvectors (m, m) of M M^T, M the resampling matrix."""
    m, transposed = (banded(axis, how, torch.float64, torch.device("cpu")) for how in (False, True))
    eigenvalues, basis = torch.linalg.eigh((m @ transposed).to_dense())
    return eigenvalues.clamp(min=0), basis
