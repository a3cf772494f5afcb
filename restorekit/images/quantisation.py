"""How far a decoded JPEG is from its photo, told from the file's coefficients alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Quantised(Protocol):
    """The coefficients k of one component, and what they were divided by."""

    @property
    def k(self) -> np.ndarray: ...
    @property
    def q(self) -> np.ndarray: ...


# Mean square over R, G and B of an error of 1 in Y, Cb and Cr.
WEIGHTS = (1.0, 1.086, 0.825)
ENOUGH = 0.01  # share of coefficients that are not zero, to tell a frequency's width by itself


def loss_of(components: Sequence[Quantised]) -> float:
    """The expected root mean square of what quantisation took away, on [0, 1].

    A coefficient that is not zero is off by q^2 / 12. Those that are have Laplace's law (Lam and
    Goodman 2000), whose width at each frequency follows from how many of them are zero.
    """
    square = 0.0
    for component, weight in zip(components, WEIGHTS, strict=False):
        q, zero = component.q.astype(np.float64), (component.k == 0).mean((0, 1))
        half, b = q / 2, widths(q / 2, zero)
        tail = np.exp(-half / b)  # of those beyond the cell of zero, by the law
        hidden = 2 * b**2 - tail * (half**2 + 2 * half * b + 2 * b**2)
        square += weight * float((hidden + (1 - zero) * q**2 / 12).mean())
    return square**0.5 / 255


def widths(half: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """(8, 8) b of Laplace's law exp(-|c| / b) / 2 b, from the share of |c| < half: 1 - e^(-half/b).

    Where next to all are zero that says nothing: there, as spectra of photos go, a power of the
    frequency that fits the others.
    """
    frequency = np.hypot(*np.mgrid[1:9, 1:9])
    b = half / -np.log(np.clip(1 - zero, 1e-4, 0.98))
    known = 1 - zero > ENOUGH
    if known.sum() < 3:
        return np.minimum(b, 2.0)
    slope, at_1 = np.polyfit(np.log(frequency[known]), np.log(b[known]), 1)
    law = np.exp(at_1 + min(slope, -1.0) * np.log(frequency))
    return np.where(known, b, np.minimum(law, b))
