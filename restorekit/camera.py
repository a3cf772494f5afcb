"""What hands, sensors, film and files do to a picture: faults of real photographs, in small parts.

Pictures are (B, 3, H, W) float32 on [0, 1], gamma-encoded as sRGB; noise may take them beyond.
Each part adds noise to the picture it was given, and nothing else: the softness that demosaicing
brings, say, is no noise. `normal` gives standard normals of a shape, as `Noise.normal` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import RestorekitError

if TYPE_CHECKING:
    from collections.abc import Sequence

Normal = Callable[[tuple[int, ...]], Tensor]

INERTIA, MOMENTS = 0.995, 3000  # of a hand's speed from moment to moment, and how many there are

SUBSAMPLINGS = {
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
}


def white(x: Tensor, sigma: float, normal: Normal) -> Tensor:
    """Independent Gaussian noise of one deviation, as the literature adds it."""
    return x + sigma * normal(tuple(x.shape)).to(x)


def sensor(
    x: Tensor,
    shot: float,
    read: float,
    normal: Normal,
    *,
    balance: Sequence[float] = (2.0, 1.0, 1.6),
    mosaic: bool = True,
) -> Tensor:
    """Noise of variance shot * x + read^2 on raw values, developed as a simple camera does.

    Raw values are linear and not yet white-balanced; then come Bayer's mosaic and its linear
    interpolation, white balance, clipping and gamma (Brooks et al. 2019, "Unprocessing images for
    learned raw denoising", section 3, without a colour matrix). So the noise depends on the signal,
    is correlated between neighbours, and strongest in red, blue and the shadows.

    Args:
        shot, read: of raw values on [0, 1].
        balance: gains of red, green and blue, 1 or more.
    """
    from kornia.color import (
        CFA,
        linear_rgb_to_rgb,
        raw_to_rgb,
        rgb_to_linear_rgb,
        rgb_to_raw,
    )

    height, width = x.shape[2:]
    gains = torch.tensor(balance).to(x)[:, None, None]
    raw = rgb_to_linear_rgb(x.clamp(0, 1)) / gains
    noisy = raw + (shot * raw + read**2).sqrt() * normal(tuple(x.shape)).to(x)

    def developed(raw: Tensor) -> Tensor:
        if mosaic:  # of an even number of lines
            even = F.pad(raw, (0, width % 2, 0, height % 2), mode="replicate")
            raw = raw_to_rgb(rgb_to_raw(even, CFA.BG), CFA.BG)[..., :height, :width]
        return linear_rgb_to_rgb((raw * gains).clamp(0, 1))

    return x + developed(noisy) - developed(raw)


def blurred(noise: Tensor, width: float) -> Tensor:
    """White noise after a Gaussian blur of deviation `width` pixels, of unit variance again."""
    if width < 0.2:
        return noise
    from kornia.filters import gaussian_blur2d

    side = 2 * int(3 * width + 1) + 1
    soft = gaussian_blur2d(noise, side, (width, width), border_type="circular")
    impulse = torch.zeros(1, 1, side, side)
    impulse[..., side // 2, side // 2] = 1
    kernel = gaussian_blur2d(impulse, side, (width, width), border_type="constant")
    return soft / kernel.square().sum().sqrt().to(soft)


def softened(x: Tensor, luma_width: float, chroma_width: float) -> Tensor:
    """A picture after Gaussian blurs of its luma and of its chroma, in pixels."""
    from kornia.color import rgb_to_ycbcr, ycbcr_to_rgb
    from kornia.filters import gaussian_blur2d

    def soft(part: Tensor, width: float) -> Tensor:
        side = 2 * int(3 * width + 1) + 1
        return gaussian_blur2d(part, side, (width, width)) if width >= 0.2 else part

    y, chroma = rgb_to_ycbcr(x.clamp(0, 1)).split([1, 2], dim=1)
    return ycbcr_to_rgb(torch.cat([soft(y, luma_width), soft(chroma, chroma_width)], dim=1))


def coloured(
    x: Tensor,
    sigma: float,
    normal: Normal,
    *,
    luma_width: float = 0.6,
    chroma_width: float = 1.5,
    chroma: float = 0.7,
) -> Tensor:
    """Gaussian noise of root mean square `sigma`, smooth as cameras and resizing leave it.

    Args:
        luma_width, chroma_width: of the blur, in pixels.
        chroma: deviation of Cb and Cr, as a multiple of luma's; 0 is noise without colour.
    """
    from kornia.color import ycbcr_to_rgb

    field = normal(tuple(x.shape)).to(x)
    luma = blurred(field[:, :1], luma_width)
    tints = chroma * blurred(field[:, 1:], chroma_width)
    noise = ycbcr_to_rgb(torch.cat([luma, tints], dim=1) / 64 + 0.5) - 0.5  # kornia clips to 0..1
    return x + sigma * noise / noise.square().mean().sqrt().clamp(min=1e-6)


def grain(x: Tensor, sigma: float, normal: Normal, *, width: float = 0.8) -> Tensor:
    """Film grain: without colour, clumps of `width` pixels, strongest in the middle tones.

    Its deviation is sigma at middle grey, and goes to a fifth of that at black and white.
    """
    from kornia.color import rgb_to_grayscale

    tone = rgb_to_grayscale(x.clamp(0, 1))
    strength = 0.2 + 0.8 * 4 * tone * (1 - tone)
    field = blurred(normal((len(x), 1, *x.shape[2:])).to(x), width)
    return x + sigma * strength * field


def shake(side: int, normal: Normal) -> Tensor:
    """A kernel such as Levin et al. (2009) recorded: what a hand that shakes makes of a point.

    The hand's speed is a random walk that is slowed down, seen through two axes.

    Args:
        side: of the kernel, odd, 5 or more; the path is as long or as high as it less 3.

    Returns:
        (side, side) float64, not negative, with the sum 1.
    """
    speeds, speed = [], [0.0, 0.0]
    for push in normal((MOMENTS, 2)).tolist():
        speed = [INERTIA * s + p for s, p in zip(speed, push, strict=True)]
        speeds.append(speed)
    at = torch.tensor(speeds, dtype=torch.float64).cumsum(0)
    low, high = at.min(0).values, at.max(0).values
    at = (at - (low + high) / 2) * (side - 3) / (high - low).max() + side // 2
    kernel = torch.zeros(side, side, dtype=torch.float64)
    corner, share = at.floor().long(), at - at.floor()
    for down in (0, 1):
        for across in (0, 1):
            weight = (share[:, 0] - 1 + down).abs() * (share[:, 1] - 1 + across).abs()
            where = corner[:, 0] + down, corner[:, 1] + across
            kernel.index_put_(where, weight, accumulate=True)
    return kernel / kernel.sum()


def resized(x: Tensor, factor: float) -> Tensor:
    """Bicubic, antialiased: what an enlargement or a reduction does to a picture and its noise."""
    return F.interpolate(
        x, scale_factor=factor, mode="bicubic", antialias=True, recompute_scale_factor=True
    )


def eight_bit(x: Tensor) -> Tensor:
    """Rounded and clipped, as a file of 8 bits holds it."""
    return (x * 255).round().clamp(0, 255) / 255


def jpeg(x: Tensor, quality: int, subsampling: str = "4:2:0") -> Tensor:
    """Through a JPEG and back, each picture by itself, with the codec that files meet.

    Args:
        quality: 1 to 100.
        subsampling: of the chroma, one of SUBSAMPLINGS; a picture without colour (R = G = B)
            keeps its luma, as a grey file would.

    Raises:
        RestorekitError: for a subsampling that is none.
    """
    if subsampling not in SUBSAMPLINGS:
        raise RestorekitError(f"subsampling {subsampling!r}: use {', '.join(SUBSAMPLINGS)}")
    how = [
        cv2.IMWRITE_JPEG_QUALITY,
        int(quality),
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        SUBSAMPLINGS[subsampling],
    ]
    out = []
    for picture in (x * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu():
        _, coded = cv2.imencode(".jpg", np.ascontiguousarray(picture.numpy()[..., ::-1]), how)
        out.append(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1])
    return torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2).to(x) / 255
