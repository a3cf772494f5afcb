"""The shapes of damage: scratches, hairs, dust, creases, stains and torn borders.

Drawn by rule, or as they were outlined on scans of empty film (FilmDamageSimulator, Ivanova et al.
2023). Each is an opacity on [0, 1] of every pixel; `damage` gives it a colour.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np

from .. import images, state
from ..errors import RestorekitError
from ..files import read

LARGEST = 256 << 20  # bytes of a file of outlines, unpacked

Rng = np.random.Generator


class Point(TypedDict):
    x: float
    y: float


class Outline(TypedDict):
    """A mark as an annotator drew around it, in pixels of the scan."""

    points: list[Point]


@dataclass(frozen=True)
class Library:
    """Marks of real films, none by default.

    Attributes:
        outlines: (N, 2) points each, in pixels of a scan.
        overlays: (H, W) uint8 opacities, the drawn ones.
    """

    outlines: Sequence[np.ndarray] = ()
    overlays: Sequence[np.ndarray] = field(default=(), repr=False)

    @property
    def digest(self) -> str:
        """Of all that is drawn with."""
        sum_ = hashlib.sha256()
        for part in (*self.outlines, *self.overlays):
            sum_.update(np.ascontiguousarray(part).tobytes())
        return sum_.hexdigest()[:16]


def library(folder: Path, last: int = 20) -> Library:
    """The marks in a folder of `scans/*.json.gz` and `overlays/KIND/*.png`.

    Args:
        last: how many overlays of each kind are taken; the others are left for measuring.

    Raises:
        RestorekitError: if there are none, or a file is not what it should be.
    """
    outlines = [
        points - points.mean(axis=0)
        for path in sorted(folder.glob("scans/*.json.gz"))
        for points in outlines_in(path)
        if len(points) > 2
    ]
    overlays = []
    for kind in sorted(folder.glob("overlays/*")):
        for path in sorted(kind.glob("*.png"))[:last]:
            photo = images.read(path)
            if photo.alpha is not None:
                overlays.append(np.rint(photo.alpha * (255 / photo.peak)).astype(np.uint8))
    if not (outlines or overlays):
        raise RestorekitError(
            f"{folder}: holds no marks; give a folder with scans/*.json.gz or overlays/KIND/*.png"
        )
    return Library(outlines, overlays)


def outlines_in(path: Path) -> list[np.ndarray]:
    """(N, 2) points of every mark in a file. Raises RestorekitError for what is no such file."""
    remedy = 'marks are {"NAME": {"points": [{"x": 1, "y": 2}, ...]}, ...}, compressed by gzip'
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(read(path, LARGEST))).read(LARGEST)
    except (OSError, EOFError, zlib.error) as error:
        raise RestorekitError(f"{path}: cannot be unpacked ({error}); {remedy}") from error
    marks = state.from_json(unpacked, dict[str, Outline], path, remedy)
    return [np.array([(p["x"], p["y"]) for p in m["points"]], np.float32) for m in marks.values()]


def path_of(rng: Rng, side: int, bend: float, length: float) -> np.ndarray:
    """(N, 2) points of a line that begins anywhere and wanders."""
    count = 24
    heading = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, bend, count))
    steps = length / count * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    middle = rng.uniform(0, side, 2)
    points = np.cumsum(steps, axis=0)
    return points - points.mean(axis=0) + middle


def stroke(canvas: np.ndarray, points: np.ndarray, width: float) -> None:
    """A line of any width onto a canvas of opacities, softly."""
    thick = max(1, round(width))
    line = np.rint(points * 16).astype(np.int32)[:, None]
    one = np.zeros_like(canvas, dtype=np.uint8)
    cv2.polylines(one, [line], False, 255, thick, cv2.LINE_AA, 4)
    np.maximum(canvas, one / 255 * min(1.0, width), out=canvas)


def clouds(rng: Rng, side: int, cell: float) -> np.ndarray:
    """(side, side) smooth noise on [0, 1], of structures that wide."""
    few = max(2, math.ceil(side / cell) + 1)
    grid = rng.random((few, few), dtype=np.float32)
    return cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def scratches(rng: Rng, side: int, marks: Library) -> np.ndarray:
    """Straight and long, often several side by side; fading out along their way."""
    canvas = np.zeros((side, side), np.float32)
    angle, bend = rng.uniform(0, math.pi), rng.choice([0.0, 0.01, 0.05])
    width = math.exp(rng.uniform(math.log(0.4), math.log(4)))
    for _ in range(int(rng.integers(1, 5))):
        points = path_of(rng, side, bend, rng.uniform(0.2, 3) * side)
        if rng.random() < 0.6:  # along the film
            centre = points.mean(axis=0)
            reach = np.linspace(-1, 1, 24) * rng.uniform(0.15, 1.5) * side
            way = np.array([math.cos(angle), math.sin(angle)])
            points = centre + reach[:, None] * way + rng.normal(0, 0.3, (24, 2))
        stroke(canvas, points, width * rng.uniform(0.6, 1.4))
    if rng.random() < 0.6:
        canvas = canvas * (clouds(rng, side, side / rng.uniform(2, 12)) * 1.8).clip(0.15, 1)
    return canvas


def hairs(rng: Rng, side: int, marks: Library) -> np.ndarray:
    canvas = np.zeros((side, side), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        points = path_of(rng, side, rng.uniform(0.1, 0.45), rng.uniform(20, 160))
        stroke(canvas, points, rng.uniform(0.7, 3))
    return canvas


def dust(rng: Rng, side: int, marks: Library) -> np.ndarray:
    """Specks, some of them outlined on real films."""
    canvas = np.zeros((side, side), np.uint8)
    scale = math.exp(rng.uniform(math.log(0.15), math.log(1.2)))
    for _ in range(round(math.exp(rng.uniform(0, math.log(40))))):
        centre = rng.uniform(0, side, 2)
        if len(marks.outlines) and rng.random() < 0.7:
            shape = marks.outlines[int(rng.integers(len(marks.outlines)))] * scale
        else:
            angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(4, 9))))
            radius = rng.uniform(0.6, 7) * scale * rng.uniform(0.5, 1.5, (len(angles), 1))
            shape = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        turn = rng.uniform(0, 2 * math.pi)
        c, s = math.cos(turn), math.sin(turn)
        points = shape @ np.array([[c, -s], [s, c]]) + centre
        cv2.fillPoly(canvas, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return canvas / np.float32(255)


def drawn(rng: Rng, side: int, marks: Library) -> np.ndarray:
    """A part of a drawn overlay, at some size and turn."""
    if not len(marks.overlays):
        return dust(rng, side, marks)
    whole = marks.overlays[int(rng.integers(len(marks.overlays)))]
    factor, angle = rng.uniform(0.4, 1.6), rng.uniform(0, 360)
    middle = rng.uniform(0, whole.shape[::-1])
    turn = cv2.getRotationMatrix2D((float(middle[0]), float(middle[1])), angle, factor)
    shift = np.zeros((2, 3))
    shift[:, 2] = side / 2 - middle
    return cv2.warpAffine(whole, turn + shift, (side, side)).astype(np.float32) / 255


def creases(rng: Rng, side: int, marks: Library) -> np.ndarray:
    """Where a print was folded: across it, ragged, the paper showing."""
    canvas = np.zeros((side, side), np.float32)
    points = path_of(rng, side, 0.02, 3 * side)
    width = rng.uniform(1.2, 6)
    stroke(canvas, points + rng.normal(0, 0.15 * width, points.shape), width)
    ragged = clouds(rng, side, rng.uniform(2, 6)) + rng.uniform(0.1, 0.7)
    return (canvas * ragged.clip(0, 1)).astype(np.float32)


def stains(rng: Rng, side: int, marks: Library) -> np.ndarray:
    """Blotches of mildew or water of uneven outline, some darker at their rim."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    canvas = np.zeros((side, side), np.float32)
    largest = math.exp(rng.uniform(math.log(2), math.log(0.4 * side)))
    rim = rng.uniform(0.2, 0.7) if rng.random() < 0.3 else 1.0  # how dark it is within its rim
    for _ in range(round(math.exp(rng.uniform(0, math.log(max(3.0, 120 / largest)))))):
        top, left = rng.uniform(0, side, 2)
        radius = largest * rng.uniform(0.3, 1)
        away = np.hypot(rows - top, (columns - left) * rng.uniform(0.6, 1.6)) / radius
        edge = rng.uniform(0.08, 0.6)
        away = away + 0.7 * (clouds(rng, side, radius * 0.7 + 2) - 0.5)
        blotch = ((1 - away) / edge).clip(0, 1)
        blotch = blotch * np.where(away < 1 - 2 * edge, rim, 1.0)
        np.maximum(canvas, blotch, out=canvas)
    return canvas


def patches(rng: Rng, side: int, marks: Library) -> np.ndarray:
    """Soft spots of no outline, scattered, as mould leaves them."""
    field = cv2.GaussianBlur(
        rng.normal(size=(side, side)).astype(np.float32), (0, 0), rng.uniform(1.5, 12)
    )
    few = rng.uniform(1.5, 2.6)  # deviations above the mean
    return np.asarray(((field / field.std() - few) * rng.uniform(1.5, 6)).clip(0, 1))


def torn(rng: Rng, side: int, marks: Library) -> np.ndarray:
    """Beyond a ragged line along a border or over a corner, nothing is left."""
    quarter = math.pi / 2 * rng.integers(4)
    lean = rng.uniform(-0.15, 0.15) if rng.random() < 0.65 else math.pi / 4 + rng.normal(0, 0.25)
    across = np.array([math.cos(quarter + lean), math.sin(quarter + lean)])
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    reach = columns * across[0] + rows * across[1]  # towards that border
    ragged = np.zeros((side, side), np.float32)
    for cell in (side / 2, side / 5, 12, 4, 1.5):
        ragged += rng.uniform(0, 0.7) * min(cell, side / 6) * (clouds(rng, side, cell) - 0.5)
    depth = math.exp(rng.uniform(math.log(3), math.log(0.45 * side)))
    return np.asarray((reach + ragged - reach.max() + depth).clip(0, 1), dtype=np.float32)


Draw = Callable[[Rng, int, Library], np.ndarray]
KINDS: dict[str, tuple[float, Draw]] = {
    "scratches": (0.22, scratches),
    "dust": (0.15, dust),
    "hairs": (0.13, hairs),
    "drawn": (0.13, drawn),
    "creases": (0.10, creases),
    "stains": (0.09, stains),
    "patches": (0.08, patches),
    "torn": (0.10, torn),
}
