"""Noise that is not one number: n ~ N(0, C), uneven from pixel to pixel, or coloured.

What a method needs of C is its product with a picture and (I + C)^-1, both without ever writing
it out. What a start needs is a draw of N(0, s^2 I - C): noise that whitens noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .noise import Noise
from .solver import conjugate_gradients


class Covariance:
    """C of noise n ~ N(0, C) in pictures (B, C, H, W): symmetric, with no negative eigenvalue.

    Attributes:
        correlated: whether it is more than a diagonal.
    """

    correlated: bool

    @property
    def largest(self) -> float:
        """An upper bound of the eigenvalues."""
        raise TypeError(f"{type(self).__name__} does not bound its eigenvalues")

    def check(self, y: Tensor) -> None:
        """Raises ValueError if this cannot be the noise of y."""

    def __call__(self, n: Tensor) -> Tensor:
        """C n."""
        raise TypeError(f"{type(self).__name__} does not say what C n is")

    def scaled(self, factor: float) -> Covariance:
        """factor C, for factor >= 0."""
        raise TypeError(f"{type(self).__name__} cannot be scaled")

    def damped(self, d: Tensor) -> Tensor:
        """(I + C)^-1 d."""
        return conjugate_gradients(lambda n: n + self(n), d, torch.zeros_like(d))

    def whitening(self, level: float, noise: Noise, like: Tensor) -> Tensor:
        """A draw of N(0, level^2 I - C), shaped, typed and placed as `like`.

        Added to a picture with this noise it leaves white noise of that level, which is a
        diffusion state.

        Raises:
            ValueError: if level^2 is below the largest eigenvalue.
        """
        if level**2 < self.largest * (1 - 1e-6):
            least = self.largest**0.5
            raise ValueError(f"the noise cannot be whitened to {level:.4g}, only from {least:.4g}")
        return self._whitening(level**2, noise, like)

    def _whitening(self, level2: float, noise: Noise, like: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} cannot be whitened")

    def to(self, device: torch.device | str) -> Covariance:
        raise TypeError(f"{type(self).__name__} cannot be moved")


@dataclass(frozen=True, eq=False)
class Uneven(Covariance):
    """C = diag(sigma^2): white noise whose deviation differs from pixel to pixel.

    Args:
        sigma: (B or 1, C or 1, H or 1, W or 1), >= 0, in engine units.

    Raises:
        ValueError: for a map of another form, or with negative or infinite values.
    """

    sigma: Tensor
    correlated = False

    def __post_init__(self) -> None:
        check_map(self.sigma)

    @property
    def largest(self) -> float:
        return float(self.sigma.max()) ** 2

    def check(self, y: Tensor) -> None:
        check_fits(self.sigma, y)

    def __call__(self, n: Tensor) -> Tensor:
        return self.sigma.to(n) ** 2 * n

    def scaled(self, factor: float) -> Uneven:
        return Uneven(factor**0.5 * self.sigma)

    def damped(self, d: Tensor) -> Tensor:
        return d / (1 + self.sigma.to(d) ** 2)

    def _whitening(self, level2: float, noise: Noise, like: Tensor) -> Tensor:
        return (level2 - self.sigma.to(like) ** 2).clamp(min=0).sqrt() * noise.like(like)

    def to(self, device: torch.device | str) -> Uneven:
        return Uneven(self.sigma.to(device))


@dataclass(frozen=True, eq=False)
class Coloured(Covariance):
    """C = M O^T F^* S F O M: stationary noise, or that times a map.

    F is the orthonormal Fourier transform of each plane (so the noise goes on across opposite
    edges), O an orthonormal basis of the colours (`OPPONENT`), S the power spectrum of its planes
    and M the diagonal of the map. Without a map everything is one pair of transforms.

    Args:
        power: (C, H, W), C = 3 or 1: S, the variance of each Fourier coefficient, with the
            frequencies of `torch.fft.fft2`; >= 0, and the same for a frequency and its negative.
        gain: M, None or as `Uneven`'s map.

    Raises:
        ValueError: for a spectrum that no real noise has.
    """

    power: Tensor
    gain: Tensor | None = None
    correlated = True

    def __post_init__(self) -> None:
        power = self.power
        if power.ndim != 3 or power.shape[0] not in (1, 3):
            raise ValueError(f"a power spectrum is (3 or 1, H, W), not {tuple(power.shape)}")
        if not torch.isfinite(power).all() or (power < 0).any():
            raise ValueError("a power spectrum is finite and never negative")
        negative = power.flip(-2, -1).roll((1, 1), (-2, -1))
        if not torch.allclose(power, negative, rtol=1e-4, atol=1e-6 * float(power.max())):
            raise ValueError("the power at a frequency and at its negative must be the same")
        if self.gain is not None:
            check_map(self.gain)

    @property
    def largest(self) -> float:
        gain = 1.0 if self.gain is None else float(self.gain.max())
        return float(self.power.max()) * gain**2

    def check(self, y: Tensor) -> None:
        if self.power.shape != y.shape[1:]:
            sizes = tuple(self.power.shape), tuple(y.shape)
            raise ValueError("a power spectrum {} does not fit pictures {}".format(*sizes))
        if self.gain is not None:
            check_fits(self.gain, y)

    def __call__(self, n: Tensor) -> Tensor:
        return self._mapped(filtered(self._mapped(n), self.power))

    def _mapped(self, n: Tensor) -> Tensor:
        return n if self.gain is None else self.gain.to(n) * n

    def scaled(self, factor: float) -> Coloured:
        return replace(self, power=factor * self.power)

    def damped(self, d: Tensor) -> Tensor:
        if self.gain is None:
            return filtered(d, 1 / (1 + self.power))
        return super().damped(d)

    def capped(self, level: float) -> Coloured:
        """C with no eigenvalue above level^2, which can be whitened to that level.

        A level for all of C is mostly far above what makes up most of it. Where y holds more
        than the level it stays as it is, and the rest comes up to it: y + N(0, (level^2 I - C)_+).
        """
        gain = 1.0 if self.gain is None else float(self.gain.max())
        return replace(self, power=self.power.clamp(max=(level / max(gain, 1e-12)) ** 2))

    def draw(self, noise: Noise, like: Tensor) -> Tensor:
        """A draw of N(0, C), shaped, typed and placed as `like`."""
        return self._mapped(filtered(noise.like(like), self.power.sqrt()))

    def _whitening(self, level2: float, noise: Noise, like: Tensor) -> Tensor:
        """s^2 I - M S M = (s^2 I - l M^2) + M (l I - S) M, l the largest of S: both have roots."""
        most = float(self.power.max())
        within = self._mapped(filtered(noise.like(like), (most - self.power).clamp(min=0).sqrt()))
        if self.gain is None:
            return within + max(level2 - most, 0.0) ** 0.5 * noise.like(like)
        left = (level2 - most * self.gain.to(like) ** 2).clamp(min=0)
        return within + left.sqrt() * noise.like(like)

    def to(self, device: torch.device | str) -> Coloured:
        return Coloured(self.power.to(device), None if self.gain is None else self.gain.to(device))


# Rows: luma, red against blue (Cr - Cb), and green against both (- Cb - Cr).
OPPONENT = torch.tensor(
    [[3**-0.5] * 3, [2**-0.5, 0.0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]],
    dtype=torch.float64,
)


def opponent(x: Tensor) -> Tensor:
    """(B, 3, H, W) in the orthonormal basis `OPPONENT`; one channel as it is."""
    return torch.einsum("kc,bchw->bkhw", OPPONENT.to(x), x) if x.shape[1] == 3 else x


def from_opponent(planes: Tensor) -> Tensor:
    """The inverse of `opponent`."""
    if planes.shape[1] != 3:
        return planes
    return torch.einsum("kc,bkhw->bchw", OPPONENT.to(planes), planes)


def filtered(x: Tensor, response: Tensor) -> Tensor:
    """O^T F^* diag(response) F O x for a real and even response (C, H, W)."""
    half = response[..., : x.shape[-1] // 2 + 1].to(x)
    planes = torch.fft.irfft2(half * torch.fft.rfft2(opponent(x)), s=x.shape[-2:])
    return from_opponent(planes)


def from_dct(variances: Tensor, size: tuple[int, int]) -> Tensor:
    """The power spectrum (C, H, W) of noise whose DCT coefficients have these variances (C, n, n).

    The k-th coefficient of an orthonormal DCT of n values is what passes about the frequency
    k / 2n; in between the logarithm is linear, and above (n - 1) / 2n constant.
    """
    n = variances.shape[-1]
    table = variances.clamp(min=1e-12).log()
    for axis, length in zip((-2, -1), size, strict=True):
        place = (2 * n * torch.fft.fftfreq(length, dtype=table.dtype).abs()).clamp(max=n - 1)
        below = place.floor().long().clamp(max=max(n - 2, 0))
        share = (place - below).reshape(-1, *(1,) * (-axis - 1))
        above = (below + 1).clamp(max=n - 1)
        table = torch.lerp(table.index_select(axis, below), table.index_select(axis, above), share)
    return table.exp()


def check_map(values: Tensor) -> None:
    """Raises ValueError for anything but a map (B, C, H, W) of deviations or gains."""
    if values.ndim != 4:
        raise ValueError(f"a map is (B or 1, C or 1, H, W), not {tuple(values.shape)}")
    if not torch.isfinite(values).all() or (values < 0).any():
        raise ValueError("a map is finite and never negative")


def check_fits(values: Tensor, y: Tensor) -> None:
    """Raises ValueError unless a map broadcasts to y."""
    if any(n not in (1, m) for n, m in zip(values.shape, y.shape, strict=True)):
        raise ValueError(f"a map {tuple(values.shape)} does not fit {tuple(y.shape)}")


def covariance_of(sigma: Tensor | Covariance) -> Covariance:
    """A map of deviations as a covariance."""
    return sigma if isinstance(sigma, Covariance) else Uneven(sigma)


def whitened(y: Tensor, sigma: float | Tensor | Covariance, noise: Noise) -> tuple[Tensor, float]:
    """A picture whose noise is white, and its level: times alpha_t it is a diffusion state.

    What y holds of noise stays; at the least level that all of it fits under the rest is added.
    White noise of one level is the special case where nothing is.

    Args:
        y: (B, C, H, W), a picture and the noise that `sigma` tells of.
    """
    if not isinstance(sigma, Tensor | Covariance):
        return y, sigma
    c = covariance_of(sigma)
    level = math.sqrt(c.largest)
    return y + c.whitening(level, noise, y), level
