"""Damage and handwriting drawn over photographs, for a network to learn to find them."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

from .handwriting import writing
from .marks import KINDS, Draw, Library, Rng

SURE, SEEN = 14.0, 5.0  # of 255: changes above are there to be found, those below are not
SHARE, WRITTEN = 0.45, 0.12  # of the crops: damaged, and written on
FRAMED = 0.15  # share with a print's own border, straight and clean


class Shown(NamedTuple):
    """A crop as a network is shown it.

    Attributes:
        picture: (S, S, 3) uint8.
        there: (2, S, S) bool, what is damaged, and what is written on.
        sure: (2, S, S) bool, where each of these is beyond doubt.
    """

    picture: np.ndarray
    there: np.ndarray
    sure: np.ndarray


def colour(rng: Rng, kind: str) -> np.ndarray:
    """(3,) of 255, what lies bare or lies on it: paper, film or dirt, with a slight tint."""
    if kind in ("stains", "patches"):
        shade = rng.uniform(20, 150) if rng.random() < 0.7 else rng.uniform(190, 250)
    elif kind == "creases":
        shade = rng.uniform(170, 255) if rng.random() < 0.85 else rng.uniform(0, 50)
    else:
        shade = rng.uniform(190, 255) if rng.random() < 0.6 else rng.uniform(0, 60)
    yellow = rng.uniform(0, 25) * np.array([1, 0.3, -1.0])
    tint = rng.normal(0, 4, 3) + yellow * (rng.random() < 0.4)
    return (shade + tint).clip(0, 255)


def ink(rng: Rng) -> np.ndarray:
    """(3,) of 255: black, blue, red or brown, or white on an album's page."""
    inks = (25, 25, 30), (30, 40, 110), (150, 30, 40), (90, 60, 40), (235, 235, 230)
    chosen = np.array(inks[int(rng.choice(5, p=[0.35, 0.3, 0.1, 0.15, 0.1]))])
    return (chosen + rng.normal(0, 15, 3)).clip(0, 255)


def beneath(rng: Rng, opacity: np.ndarray) -> np.ndarray:
    """(S, S, 3) of 255: a torn print's fibres along its edge, and what it lies on beyond them."""
    inside = (opacity > 0.5).astype(np.uint8)
    deep = cv2.distanceTransform(inside, cv2.DIST_L2, 3) > rng.uniform(0, 7)
    paper, ground = rng.uniform(190, 255), float(rng.choice([255, 245, 128, 20, 0]))
    shade = np.where(deep, ground, paper + 12 * rng.normal(size=opacity.shape))
    return np.repeat(shade[..., None], 3, axis=2)


def drawn_over(
    x: np.ndarray, rng: Rng, marks: Library, draws: dict[str, tuple[float, Draw]] = KINDS
) -> tuple[np.ndarray, np.ndarray, str]:
    """A picture (S, S, 3) float on 0..255 with one kind of damage: it, its change, the kind."""
    names, shares = list(draws), np.array([share for share, _ in draws.values()])
    kind = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    opacity = draws[kind][1](rng, len(x), marks)
    if rng.random() < 0.5:
        opacity = cv2.GaussianBlur(opacity, (0, 0), rng.uniform(0.3, 1.2))
    if kind == "torn":
        return *over(x, opacity, beneath(rng, opacity)), kind
    if kind in ("stains", "patches"):
        strength = rng.uniform(0.3, 0.9)
    else:
        strength = rng.uniform(0.3, 1.0) if rng.random() < 0.6 else 1.0
    layer = np.broadcast_to(colour(rng, kind), x.shape)
    if rng.random() < 0.5:  # paper and dirt have a texture too
        layer = layer + rng.uniform(0, 18) * rng.normal(size=(*x.shape[:2], 1))
    return *over(x, strength * opacity, layer), kind


def over(x: np.ndarray, opacity: np.ndarray, layer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A picture (S, S, 3) with a layer over it, and (S, S), by how much that changes it."""
    after = (x + opacity[..., None] * (layer - x)).clip(0, 255).astype(np.float32)
    return after, np.abs(after - x).max(axis=2)


def aged(x: np.ndarray, rng: Rng) -> np.ndarray:
    """A picture (S, S, 3) float on 0..255 as old prints look: grey, toned, faded, soft."""
    if rng.random() < 0.55:
        x = np.repeat(x @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
        if rng.random() < 0.5:
            x = 255 * (x / 255) ** np.exp(rng.uniform(0, 0.5) * np.array([-1, 0, 1.0]))
    if rng.random() < 0.4:
        low, high = rng.uniform(0, 70), rng.uniform(170, 255)
        x = low + x * (high - low) / 255
    if rng.random() < 0.5:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.5))
    if rng.random() < FRAMED:
        x = framed(x, rng)
    return np.asarray(x, dtype=np.float32)


def framed(x: np.ndarray, rng: Rng) -> np.ndarray:
    """With the border that prints have, on one side or more: straight, and no damage."""
    shade = rng.uniform(205, 255) if rng.random() < 0.8 else rng.uniform(0, 30)
    border = shade + rng.uniform(0, 12) * np.array([0, -0.3, -1.0])
    x = x.copy()
    for turn in range(4):
        if rng.random() < 0.4:
            width = max(1, round(math.exp(rng.uniform(math.log(2), math.log(0.25 * len(x))))))
            np.rot90(x, turn)[:width] = border
    return x


def scanned(x: np.ndarray, rng: Rng) -> np.ndarray:
    """A picture as a scan or a camera gives it: grain, and what JPEG does. uint8."""
    if rng.random() < 0.6:
        grain = rng.normal(size=(*x.shape[:2], int(rng.choice([1, 3])))).astype(np.float32)
        if rng.random() < 0.6:
            width = rng.uniform(0.4, 1.2)
            grain = cv2.GaussianBlur(grain, (0, 0), width).reshape(grain.shape) * (2 * width + 1)
        x = x + math.exp(rng.uniform(0, math.log(14))) * grain
    eight = np.rint(x.clip(0, 255)).astype(np.uint8)
    if rng.random() < 0.7:
        quality = int(rng.integers(40, 97))
        _, coded = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, quality])
        eight = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return eight


def damaged(
    crop: np.ndarray, rng: Rng, marks: Library, share: float = SHARE, written: float = WRITTEN
) -> Shown:
    """A photo's crop (S, S, 3) as an old print's scan, some damaged and some written on.

    Args:
        share, written: of the crops that are damaged, and that have handwriting.
    """
    x = aged(crop.astype(np.float32), rng)
    change = np.zeros((2, *x.shape[:2]), np.float32)
    if rng.random() < share:
        for _ in range(int(rng.integers(1, 4))):
            x, more, _ = drawn_over(x, rng, marks)
            change[0] = np.maximum(change[0], more)
    if rng.random() < written:
        opacity: np.ndarray = writing(rng, len(x)) * rng.uniform(0.5, 1.0)
        if rng.random() < 0.6:  # it bleeds
            opacity = cv2.GaussianBlur(opacity, (0, 0), rng.uniform(0.3, 1.0))
        x, change[1] = over(x, opacity, ink(rng))
    sure = (change > SURE) | (change < SEEN)
    sure[0] &= (change[0] < SEEN) | (change[1] < SEEN)  # under ink nobody knows
    return Shown(scanned(x, rng), change > (SURE + SEEN) / 2, sure)
