"""How `restorekit benchmark deblur` blurs clean photos, and the classical baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from restorekit.errors import RestorekitError
from restorekit.units import from_engine, to_engine

from . import kernels

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorekit.engine.noise import Noise

ASSUMED = 2.55 / 255  # the noise that is added where it is to be estimated
SHAKES = (19, 17, 15, 27, 21, 23, 25, 23)  # pixels a side, each
BALANCE = 3e-4  # of Wiener's filter, for noise of 1 of 255
OPTIONS = (
    click.Option(
        ["--shake"],
        type=click.IntRange(1, len(SHAKES)),
        help="Blur as a hand that shakes does, by one of eight paths of 15 to 27 pixels, instead.",
    ),
)


def shaken(number: int) -> Tensor:
    """One of eight kernels of a hand that shakes."""
    from restorekit import camera
    from restorekit.engine.noise import Noise

    return camera.shake(SHAKES[number - 1], Noise(number, "shake").normal)


def degrade(
    clean: np.ndarray, noise: Noise, *, sigma: float | str, shake: int | None, **options: Any
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """What the kernel sees wholly within the photo, and white noise of level sigma, not clipped.

    As no camera knows what lies beyond its picture, nothing is assumed about it.
    """
    import numpy as np
    import torch.nn.functional as F

    if shake is not None:
        options = {**options, "kernel": shaken(shake).numpy()}
    kernel = kernels.of(options)
    x = to_engine(clean).double()
    h, w = kernel.shape
    if h > x.shape[2] or w > x.shape[3]:
        size = f"{x.shape[3]} x {x.shape[2]}"
        raise RestorekitError(f"{size} pixels is smaller than the blur, of {w} x {h}")
    flipped = kernel.flip(0, 1)[None, None]
    seen = F.conv2d(x.transpose(0, 1), flipped).transpose(0, 1)
    top, left = h - 1 - h // 2, w - 1 - w // 2
    reference = clean[top : top + seen.shape[2], left : left + seen.shape[3]]
    blurred = seen[0].permute(1, 2, 0).add(1).div(2).numpy()
    level = ASSUMED if isinstance(sigma, str) else sigma
    noisy = (blurred + level * noise.normal(blurred.shape).numpy()).astype(np.float32)
    return np.ascontiguousarray(reference), noisy, {**options, "sigma": sigma}


def wiener(degraded: np.ndarray, *, sigma: float | str, **options: Any) -> np.ndarray:
    """Wiener's filter against a Laplacian, of the photo mirrored at its edges."""
    import numpy as np
    from skimage.restoration import wiener as filtered

    from restorekit.noise_level import estimate

    kernel = kernels.of(options).numpy()
    level = estimate(to_engine(degraded)).level if isinstance(sigma, str) else sigma
    margin = max(kernel.shape)
    x = from_engine(to_engine(degraded), np.dtype(np.float64))
    padded = np.pad(x, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    balance = BALANCE * max(255 * level, 0.5) ** 2
    channels = [filtered(padded[..., c], kernel, balance, clip=False) for c in range(x.shape[2])]
    inner = np.stack(channels, axis=2)[margin:-margin, margin:-margin]
    return np.rint(255 * inner.clip(0, 1)).astype(np.uint8)
