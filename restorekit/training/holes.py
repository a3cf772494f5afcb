"""Holes to learn to fill: lost pixels, writing, scratches, brush strokes and patches."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

Draw = Callable[[np.ndarray, np.random.Generator], None]

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?   "


def lost(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Single pixels, of any share."""
    canvas[rng.random(canvas.shape) < rng.uniform(0.05, 0.95)] = 1


def writing(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Lines of text of one hand, close to each other or far apart."""
    size, font = rng.uniform(0.4, 1.6), FONTS[rng.integers(len(FONTS))]
    width = int(rng.integers(1, 2 + round(3 * size)))
    step = int(rng.uniform(22, 40) * size)
    for y in range(int(rng.integers(1, step + 1)), len(canvas) + step, step):
        words = "".join(rng.choice(list(LETTERS), 40))
        cv2.putText(canvas, words, (-int(rng.integers(80)), y), font, size, 1, width)


def wandering(canvas: np.ndarray, rng: np.random.Generator, width: int, bend: float) -> None:
    """A line from anywhere to anywhere."""
    side = len(canvas)
    point, heading = rng.uniform(0, side, 2), rng.uniform(0, 2 * math.pi)
    path = [point]
    for _ in range(int(rng.integers(2, 14))):
        heading += rng.normal(0, bend)
        step = rng.uniform(0.05, 0.2) * side
        path.append(path[-1] + step * np.array([math.cos(heading), math.sin(heading)]))
    line = np.rint(np.array(path)).astype(np.int32)[:, None]
    cv2.polylines(canvas, [line], False, 1, width)


def scratches(canvas: np.ndarray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 9))):
        wandering(canvas, rng, int(rng.integers(1, 6)), 0.25)


def strokes(canvas: np.ndarray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 4))):
        wandering(canvas, rng, int(rng.integers(6, 24)), 0.7)


def patches(canvas: np.ndarray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 5))):
        centre = tuple(int(v) for v in rng.integers(0, len(canvas), 2))
        axes = tuple(int(v) for v in rng.integers(2, len(canvas) // 4, 2))
        cv2.ellipse(canvas, centre, axes, rng.uniform(0, 180), 0, 360, 1, -1)


KINDS: tuple[tuple[float, Draw], ...] = (
    (0.15, lost),
    (0.35, writing),
    (0.30, scratches),
    (0.12, strokes),
    (0.08, patches),
)


def hole(side: int, rng: np.random.Generator) -> np.ndarray:
    """(side, side) bool: True where a crop is torn; somewhere, and not everywhere."""
    while True:
        canvas = np.zeros((side, side), dtype=np.uint8)
        KINDS[int(rng.choice(len(KINDS), p=[share for share, _ in KINDS]))][1](canvas, rng)
        torn = canvas > 0
        if 0.002 < torn.mean() < 0.97:
            return torn
