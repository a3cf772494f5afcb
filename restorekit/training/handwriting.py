"""Handwriting, drawn over photographs for a network to learn to tell it from damage."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .marks import Rng, clouds

SCRIPTS = (
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
    cv2.FONT_HERSHEY_SIMPLEX | cv2.FONT_ITALIC,
)
LETTERS = list("aaabcdeeeefghiiijklmnnoooprrssttuuvwyzAEHJLMPRS0123456789.,    ")
ROUND = 20  # points of a pen's way for each of its rounds


def writing(rng: Rng, side: int) -> np.ndarray:
    """(side, side) opacities on [0, 1] of some lines, in any direction, but mostly level."""
    canvas = np.zeros((side, side), np.uint8)
    height = rng.uniform(9, 40)
    thick = max(1, round(height / rng.uniform(7, 18)))
    top, left = rng.uniform(0, 0.8 * side), rng.uniform(-0.3, 0.6) * side
    lettered, script, slant = rng.random() < 0.5, int(rng.choice(SCRIPTS)), rng.uniform(0, 0.6)
    for _ in range(int(rng.integers(1, 5))):
        count = int(rng.integers(3, 16))
        base = np.array([left, top + height])
        if lettered:
            words, origin = "".join(rng.choice(LETTERS, count)), (round(base[0]), round(base[1]))
            cv2.putText(canvas, words, origin, script, height / 30, 255, thick, cv2.LINE_AA)
        else:
            way = np.rint((base + height * loops(rng, count, slant)) * 16).astype(np.int32)
            cv2.polylines(canvas, [way[:, None]], False, 255, thick, cv2.LINE_AA, 4)
        top += height * rng.uniform(1.4, 2.2)
    turn = float(rng.choice([0, 0, 0, 90, 180, 270]) + rng.normal(0, 6))
    turned = cv2.getRotationMatrix2D((side / 2, side / 2), turn, 1.0)
    opacity = cv2.warpAffine(canvas, turned, (side, side)).astype(np.float32) / 255
    pressure = 0.55 + 0.45 * clouds(rng, side, height)
    return opacity * pressure


def loops(rng: Rng, count: int, slant: float) -> np.ndarray:
    """(N, 2) points of a pen that goes round and round along a line; tall letters are of 1."""
    t = np.linspace(0, 2 * math.pi * count, ROUND * count)
    soft = np.ones(7) / 7
    tall = np.convolve(rng.choice([0.5, 0.5, 0.6, 1.0, 1.3], count).repeat(ROUND), soft, "same")
    wide = np.convolve(rng.uniform(0.2, 0.6, count).repeat(ROUND), soft, "same")
    y = -tall * np.maximum(np.sin(t), -0.8)
    x = 0.6 * t / (2 * math.pi) + wide * np.cos(t) - slant * y
    return np.stack([x, y], axis=1)
