"""Pictures as pages embed them: 8 bits, in sRGB, small enough, WebP."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping

import cv2
import numpy as np
from PIL import Image, ImageCms

from ..images import Photo
from ..units import eight_bit

LONGEST, LEAST = 4096, 64  # pixels of the longer side
QUALITY = 82  # of WebP
FINEST = 0.05  # bytes a pixel, of the plainest photos: where the search for a size begins
EXACT = 0.5  # the same without loss
AMPLIFIED = 4  # a difference is shown at this many times its size
BEHIND = 128  # the grey behind what is transparent


def flat(photo: Photo) -> np.ndarray:
    """(H, W, 3) uint8 on grey, where it is transparent."""
    rgb = photo.rgb8()
    if photo.alpha is None:
        return rgb
    alpha = eight_bit(photo.alpha)[..., None] / np.float32(255)
    return np.rint(rgb * alpha + BEHIND * (1 - alpha)).astype(np.uint8)


def reduced(pixels: np.ndarray, side: int) -> np.ndarray:
    """The same with a longer side of at most so many pixels."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def enlarged(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The same at (H, W), where it is not that already."""
    if pixels.shape[:2] == size:
        return pixels
    return cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_CUBIC)


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether one picture may be laid over the other: the same, but for its size."""
    (h, w), (height, width) = one.shape[:2], other.shape[:2]
    return abs(h * width / height - w) <= max(1.0, width / height, w / 100)


def difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: how far apart two pictures are, amplified."""
    apart = cv2.absdiff(enlarged(before, after.shape[:2]), after)
    return cv2.convertScaleAbs(apart, alpha=AMPLIFIED)


def heat(deviation: np.ndarray) -> tuple[np.ndarray, float]:
    """A map of deviations as colours, from black, where there are none, to yellow; and at what
    value of the map it is yellow: nearly the largest."""
    grey = np.ascontiguousarray(deviation[..., 0])
    most = max(float(np.percentile(grey, 99.5)), 1.0)
    coloured = cv2.applyColorMap(cv2.convertScaleAbs(grey, alpha=255 / most), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(coloured[..., ::-1]), most


def change(before: np.ndarray, after: np.ndarray) -> float:
    """The root of the mean square of what was changed, on 0..255."""
    apart = cv2.absdiff(enlarged(before, after.shape[:2]), after)
    return math.sqrt(cv2.norm(apart, cv2.NORM_L2SQR) / apart.size)


def in_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """(H, W, 3) uint8 of a profile in sRGB; as they are, where it is damaged or there is none."""
    if not profile:
        return pixels
    picture = Image.fromarray(pixels)
    with contextlib.suppress(ImageCms.PyCMSError, OSError):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        ImageCms.profileToProfile(picture, source, target, inPlace=True)
    return np.array(picture)


def webp(pixels: np.ndarray, profile: bytes | None = None, *, lossless: bool = False) -> bytes:
    """(H, W, 3) uint8 as a file, in sRGB whatever its profile."""
    buffer = io.BytesIO()
    picture = Image.fromarray(in_srgb(pixels, profile))
    quality = 0 if lossless else QUALITY  # without loss it is how long to search
    picture.save(buffer, "WEBP", quality=quality, method=2, lossless=lossless)
    return buffer.getvalue()


def profile_of(photo: Photo) -> bytes | None:
    """Of a coloured photo, if its file said so."""
    return None if photo.is_grey else dict(photo.metadata).get("icc_profile")


def fitted(
    pictures: Mapping[str, np.ndarray],
    share: int,
    profiles: Mapping[str, bytes | None],
    *,
    lossless: bool = False,
) -> dict[str, bytes]:
    """WebP of each, as large as all of them together fit into so many bytes."""
    longest = max(max(p.shape[:2]) for p in pictures.values())
    finest = EXACT if lossless else FINEST
    side = min(longest, LONGEST, math.ceil(math.sqrt(share / len(pictures) / finest)))
    while True:
        data = {
            n: webp(reduced(p, side), profiles.get(n), lossless=lossless)
            for n, p in pictures.items()
        }
        total = sum(map(len, data.values()))
        if total <= share or side <= LEAST:
            return data
        side = max(LEAST, int(side * min(0.95, 0.97 * math.sqrt(share / total))))


def tile(before: np.ndarray | None, after: np.ndarray, side: int) -> np.ndarray:
    """A small picture: before on the left and after on the right, a white line between them."""
    small = reduced(after, side).copy()
    if before is not None and alike(before, after):
        middle = small.shape[1] // 2
        small[:, :middle] = enlarged(reduced(before, side), small.shape[:2])[:, :middle]
        small[:, max(middle - 1, 0) : middle + 1] = 255
    return small


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height of a file."""
    return Image.open(io.BytesIO(picture)).size
