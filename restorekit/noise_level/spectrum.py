"""What colour is the noise of a photo? From the frequencies of its flattest patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from ..engine.covariance import Coloured

SIDE = 8
PATCHES = 60_000  # at most
BINS = 4  # of brightness, each with its flattest patches, since noise depends on it
FLATTEST = 0.05  # the share of patches taken for flat
FEWEST = 16  # of patches in a bin


def estimate_covariance(y: Tensor) -> Coloured:
    """The covariance of the noise in (1, C, H, W), C = 3 or 1, stationary and coloured."""
    import torch

    from ..engine.covariance import Coloured, from_dct, opponent

    variances = dct_variances(opponent(y)[0].numpy())
    return Coloured(from_dct(torch.from_numpy(variances), (y.shape[2], y.shape[3])).to(y))


def dct_variances(planes: np.ndarray) -> np.ndarray:
    """The noise's variance in each DCT coefficient of 8 x 8 patches, (C, 8, 8).

    After the Noise Clinic (Lebrun, Colom and Morel 2015) and the method of Ponomarenko et al.
    (2007) beneath it: what is left in the flattest patches of each brightness is noise. Patches
    chosen by the energy that is then measured would have too little of it; so half of the
    coefficients choose for the other half, which in noise know nothing of each other. Patches
    that touch the darkest or brightest value, where noise is cut off, do not count.

    On smooth pictures deviations come out within a tenth, that of the whole 5 to 25 % low,
    because a patch does not see the longest waves. What a photo has everywhere, fur or a grain of
    its own, counts as noise: there the lowest frequencies are found twice too strong and more.

    Args:
        planes: (C, H, W) in an orthonormal basis of the colours, brightness first; any unit.

    Returns:
        Variances in that unit, squared; zeros where the photo has too few patches.
    """
    c = len(planes)
    if min(planes.shape[1:]) < 2 * SIDE:
        return np.zeros((c, SIDE, SIDE))
    patches = every(planes)
    bright = patches[:, 0]
    cut = (bright == planes[0].min()) | (bright == planes[0].max())
    patches = patches[~cut.any((1, 2))]
    basis = dct(SIDE)
    coefficients = basis @ patches.astype(np.float64) @ basis.T
    order = np.argsort(coefficients[:, 0, 0, 0])
    bins = [b for b in np.array_split(order, BINS) if len(b) >= FEWEST]
    if not bins:
        return np.zeros((c, SIDE, SIDE))
    found = np.median([flat_variances(np.square(coefficients[b])) for b in bins], axis=0)
    # A slope is the photo's, but seldom has both directions; a patch's mean is always the photo's.
    lowest = np.minimum(found[:, 0, 1], found[:, 1, 0])
    found[:, 0, 0] = found[:, 0, 1] = found[:, 1, 0] = lowest
    return found


def flat_variances(energies: np.ndarray) -> np.ndarray:
    """(C, n, n) from the squared coefficients (N, C, n, n) of patches, flat and others.

    Brightness alone chooses: a JPEG's colours are flat wherever it left them out.
    """
    count = max(FEWEST, round(FLATTEST * len(energies)))
    relative = energies[:, 0] / np.maximum(np.median(energies[:, 0], axis=0), 1e-30)
    down, across = np.indices(energies.shape[-2:])
    odd = (down + across) % 2 == 1
    known = down + across > 0
    found = np.zeros(energies.shape[1:])
    for measured, choosing in ((odd, ~odd & known), (~odd, odd)):
        busy = relative[:, choosing].mean(1)
        flattest = np.argpartition(busy, count - 1)[:count]
        found[:, measured] = energies[flattest][:, :, measured].mean(0)
    return found


def every(planes: np.ndarray) -> np.ndarray:
    """(N, C, n, n): all patches, or evenly spread ones."""
    windows = np.lib.stride_tricks.sliding_window_view(planes, (SIDE, SIDE), axis=(1, 2))
    step = int(np.ceil((windows.shape[1] * windows.shape[2] / PATCHES) ** 0.5))
    chosen = windows[:, ::step, ::step].transpose(1, 2, 0, 3, 4)
    return chosen.reshape(-1, len(planes), SIDE, SIDE)


def dct(n: int) -> np.ndarray:
    """The orthonormal DCT-II as a matrix (n, n)."""
    k, i = np.indices((n, n))
    return np.where(k, 2.0, 1.0) ** 0.5 * np.cos(np.pi * k * (2 * i + 1) / (2 * n)) / n**0.5
