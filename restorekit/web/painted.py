"""Masks that are painted: a page sends its strokes, and they are drawn at the photo's own size.

So what is painted is as fine as the photo, whatever the page shows of it; it takes a few bytes to
send, and the file that the task is given is the one that the command line would be given.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import msgspec
import numpy as np

from .. import images
from ..errors import RestorekitError

FINE = 4  # bits of a pixel's fractions
LIMIT = 100_000  # how far from the photo's corner a stroke may go
Coordinate = Annotated[float, msgspec.Meta(ge=-LIMIT, le=LIMIT)]
Point = tuple[Coordinate, Coordinate]


class Stroke(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one movement of the hand did.

    Attributes:
        tool: brush and eraser follow the points, lasso and cut fill what they surround.
        points: (x, y) in the photo's pixels.
        radius: of brush and eraser, in the photo's pixels.
    """

    tool: Literal["brush", "eraser", "lasso", "cut"]
    points: Annotated[list[Point], msgspec.Meta(min_length=1, max_length=100_000)]
    radius: Annotated[float, msgspec.Meta(gt=0, le=5000)] = 1.0


class Painting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mask as a page has it.

    Attributes:
        found: the key of a mask that a task has found, to begin with; empty: of nothing.
        strokes: what was painted on it, in order.
    """

    strokes: Annotated[list[Stroke], msgspec.Meta(max_length=10_000)]
    found: str = ""


def painting(value: Mapping[str, Any]) -> Painting:
    """Raises RestorekitError for anything else than a painting."""
    try:
        return msgspec.convert(value, Painting)
    except msgspec.ValidationError as error:
        raise RestorekitError(f"this is no mask ({error}); paint it again") from error


def drawn(given: Painting, start: np.ndarray) -> np.ndarray:
    """(H, W) uint8: 255 where the mask marks the photo.

    Args:
        start: (H, W) uint8, what it begins with.
    """
    mask = start.copy()
    for stroke in given.strokes:
        value = 255 if stroke.tool in ("brush", "lasso") else 0
        points = np.array(stroke.points)
        if stroke.tool in ("lasso", "cut"):
            # Pixel (0, 0) reaches from 0 to 1 on the page, and has its middle at 0 for OpenCV.
            corners = np.rint((points - 0.5) * (1 << FINE)).astype(np.int32)
            cv2.fillPoly(mask, [corners], value, shift=FINE)
            continue
        brush(mask, points, stroke.radius, value)
    return mask


def brush(mask: np.ndarray, points: np.ndarray, radius: float, value: int) -> None:
    """Draws a line with round ends of a radius through points (N, 2)."""
    thickness = max(1, round(2 * radius))
    fine = np.rint((points - 0.5) * (1 << FINE)).astype(np.int32)
    x, y = map(int, fine[0])  # of a single point there is no line
    cv2.circle(mask, (x, y), round(radius * (1 << FINE)), value, -1, shift=FINE)
    cv2.polylines(mask, [fine[:, None]], False, value, thickness, shift=FINE)


class Masks:
    """Masks as files in a folder of their own, by what is in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, mask: np.ndarray) -> str:
        """Writes a mask (H, W) of 0 and 255; its key."""
        key = hashlib.sha256(mask.tobytes()).hexdigest()[:24]
        key = f"{key}-{mask.shape[1]}x{mask.shape[0]}"
        if not self.path(key).exists():
            images.write(self.path(key), images.Photo(mask[..., None]))
        return key

    def path(self, key: str) -> Path:
        """Where a mask is."""
        return self.folder / f"{key}.png"

    def told(self, text: str) -> str:
        """A message in which the files of masks are called what they are."""
        return re.sub(re.escape(str(self.folder)) + r"\S+?\.png", "the mask", text)

    def read(self, key: str) -> np.ndarray:
        """(H, W) uint8. Raises RestorekitError where there is none of that key."""
        if not key.replace("-", "").isalnum() or not self.path(key).exists():
            raise RestorekitError("this mask is gone; let it be found again")
        return np.asarray(images.read(self.path(key), max_megapixels=float("inf")).pixels[..., 0])

    def painted(self, given: Painting, size: tuple[int, int]) -> Path:
        """The file of a painting for a photo of (H, W).

        Raises:
            RestorekitError: if it begins with a mask that is gone, or of another photo.
        """
        start = self.read(given.found) if given.found else np.zeros(size, np.uint8)
        if start.shape != size:
            raise RestorekitError("this mask is another photo's; paint it again")
        return self.path(self.keep(drawn(given, start)))
