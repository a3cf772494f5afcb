"""How much damage is found, and how much that is sound is taken for it.

    python samples/score_damage.py DAMAGED_FROM --marks DAMAGE --sound PHOTOS

Draws damage over the photos in DAMAGED_FROM in ways that the network was not trained on (other
curves, other textures, other letters, and of the drawn overlays in DAMAGE those that training
leaves), finds it, and prints recall and precision for each kind; then the false alarms on the
photos of --sound, of damage and of handwriting. A pixel found within two pixels of damage is no
false alarm, since damage has soft edges, and one that is missed within two pixels of what was found
is no miss.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from restorekit import damage, images
from restorekit.units import to_engine

Rng = np.random.Generator
NEAR = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
SEEN = 10  # of 255: changes below are no damage that could be seen
SIDE = 640  # pixels of the photos' crops
WRITING = "handwriting"  # which is looked for by itself

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("photos", type=Path)
parser.add_argument("--marks", type=Path, required=True)
parser.add_argument("--sound", type=Path)
parser.add_argument("--weights", type=Path, default=damage.WEIGHTS)
parser.add_argument("--count", type=int, default=100)
parser.add_argument("--threshold", type=float, action="append")
parser.add_argument("--save", type=Path, help="where some pictures go, with what was found in red")


def curve(rng: Rng, size: tuple[int, int], spread: float) -> np.ndarray:
    """(N, 2) points of a cubic Bezier curve."""
    start = rng.random(2) * size[::-1]
    points = start + spread * max(size) * np.cumsum(rng.normal(0, 1, (4, 2)), axis=0)
    t = np.linspace(0, 1, 60)[:, None]
    weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
    return np.asarray(sum(w * p for w, p in zip(weights, points, strict=True)))


def line(canvas: np.ndarray, points: np.ndarray, width: int) -> None:
    path = np.rint(points * 8).astype(np.int32)[:, None]
    cv2.polylines(canvas, [path], False, 255, width, cv2.LINE_AA, 3)


def scratches(rng: Rng, size: tuple[int, int], _: Path) -> np.ndarray:
    canvas = np.zeros(size, np.uint8)
    for _ in range(int(rng.integers(2, 8))):
        line(canvas, curve(rng, size, rng.choice([0.05, 0.25])), int(rng.integers(1, 4)))
    return canvas


def creases(rng: Rng, size: tuple[int, int], _: Path) -> np.ndarray:
    """From edge to edge, in jerks."""
    canvas = np.zeros(size, np.uint8)
    for _ in range(int(rng.integers(1, 3))):
        ends = rng.random((2, 2)) * size[::-1]
        axis = int(rng.integers(2))
        ends[0, axis], ends[1, axis] = 0, size[1 - axis]
        way = ends[0] + np.linspace(0, 1, 30)[:, None] * (ends[1] - ends[0])
        line(canvas, way + rng.normal(0, 1.5, way.shape), int(rng.integers(2, 6)))
    return canvas


def stains(rng: Rng, size: tuple[int, int], _: Path) -> np.ndarray:
    """Where a smooth random field is high."""
    field = cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), rng.uniform(4, 9))
    field /= field.std()
    return np.asarray(((field - 2.2) * 4).clip(0, 1) * 255, dtype=np.uint8)


def specks(rng: Rng, size: tuple[int, int], _: Path) -> np.ndarray:
    canvas = np.zeros(size, np.uint8)
    for _ in range(int(rng.integers(10, 80))):
        centre = tuple(int(v) for v in rng.random(2) * size[::-1])
        axes = tuple(int(v) for v in rng.integers(1, 5, 2))
        cv2.ellipse(canvas, centre, axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    return canvas


def borders(rng: Rng, size: tuple[int, int], _: Path) -> np.ndarray:
    """One side torn off along a walk at random."""
    turned = bool(rng.integers(2))
    height, width = size[::-1] if turned else size
    steps = cv2.GaussianBlur(rng.normal(0, 2.5, (1, width)), (0, 0), rng.uniform(0.7, 3))[0]
    depth = rng.uniform(0.02, 0.15) * height + np.cumsum(steps - steps.mean())
    gone = np.arange(height)[:, None] < depth
    gone = gone[::-1] if rng.integers(2) else gone
    return np.ascontiguousarray((gone.T if turned else gone) * np.uint8(255))


def letters(rng: Rng, size: tuple[int, int], _: Path) -> np.ndarray:
    """Words of joined strokes, each letter two or three arcs between points of its own."""
    canvas = np.zeros(size, np.uint8)
    t = np.linspace(0, 1, 12)[:, None]
    for _ in range(int(rng.integers(1, 4))):
        tall, width = rng.uniform(14, 45), int(rng.integers(1, 4))
        at = rng.random(2) * (0.6 * size[1], 0.85 * size[0])
        for _ in range(int(rng.integers(4, 14))):
            top = rng.choice([0.45, 0.5, 1.0])
            ends = rng.random((int(rng.integers(3, 5)), 2)) * (0.5, -top) * tall
            ends[0], ends[-1] = (0, 0), (0.6 * tall, 0)
            for start, end in pairwise(ends):
                bow = (start + end) / 2 + rng.normal(0, 0.2 * tall, 2)
                line(canvas, at + (1 - t) ** 2 * start + 2 * t * (1 - t) * bow + t**2 * end, width)
            at = at + ends[-1] + (rng.random() < 0.2) * np.array([0.5 * tall, 0])
    return canvas


def overlay(kind: str) -> Callable[[Rng, tuple[int, int], Path], np.ndarray]:
    """One of the last four drawn overlays of a kind."""

    def draw(rng: Rng, size: tuple[int, int], marks: Path) -> np.ndarray:
        path = sorted((marks / "overlays" / kind).glob("*.png"))[-4:][int(rng.integers(4))]
        alpha = images.read(path).alpha
        assert alpha is not None
        factor = max(
            rng.uniform(0.5, 1.2), *(s / a for s, a in zip(size, alpha.shape, strict=True))
        )
        large = cv2.resize(alpha, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        top, left = (int(rng.integers(a - s + 1)) for s, a in zip(size, large.shape, strict=True))
        return large[top : top + size[0], left : left + size[1]]

    return draw


KINDS: dict[str, Callable[[Rng, tuple[int, int], Path], np.ndarray]] = {
    "scratches": scratches,
    "creases": creases,
    "stains": stains,
    "specks": specks,
    "torn borders": borders,
    WRITING: letters,
    "hairs, drawn": overlay("hair"),
    "short hairs, drawn": overlay("hair-short"),
    "scratches, drawn": overlay("scratches"),
    "dirt, drawn": overlay("dirt"),
}


def damaged(photo: np.ndarray, rng: Rng, kind: str, marks: Path) -> tuple[np.ndarray, np.ndarray]:
    """A photo (H, W, 3) uint8 with one kind of damage, as a scan; and where that can be seen."""
    x = photo.astype(np.float32)
    if rng.random() < 0.5:
        x = np.repeat(x.mean(axis=2, keepdims=True), 3, axis=2)
    opacity = KINDS[kind](rng, photo.shape[:2], marks)[..., None] / np.float32(255)
    light = rng.random() < 0.6
    shade = rng.uniform(200, 255) if light else rng.uniform(0, 60)
    if kind == "torn borders":
        light, shade, opacity = True, float(rng.choice([255, 10, 235])), opacity * 2
    if kind == WRITING:
        shade = float(rng.uniform(0, 70))
    if kind == "stains":
        shade, opacity = rng.uniform(30, 120), opacity * rng.uniform(0.4, 0.8)
    after = x + (opacity * rng.uniform(0.6, 1.0)).clip(0, 1) * (shade - x)
    where = np.abs(after - x).max(axis=2) > SEEN
    after = after + rng.normal(0, rng.uniform(0, 4), (*x.shape[:2], 1))
    eight = np.rint(after.clip(0, 255)).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(70, 96))])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR), where


def near(where: np.ndarray) -> np.ndarray:
    return cv2.dilate(where.astype(np.uint8), NEAR) > 0


def opened(path: Path) -> np.ndarray:
    """The middle of a photo, in colour."""
    pixels = images.read(path).pixels
    top, left = (max(0, (side - SIDE) // 2) for side in pixels.shape[:2])
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))[top : top + SIDE, left : left + SIDE]


def photos(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in images.SUFFIXES)


def shown(picture: np.ndarray, found: np.ndarray) -> np.ndarray:
    red = picture.copy()
    red[found] = (255, 0, 0)
    return np.hstack([picture, red])


def main() -> None:
    given = parser.parse_args()
    thresholds = given.threshold or [0.5]
    files = photos(given.photos)
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, given.count).round().astype(int)]
    counts = {(k, t): np.zeros(4) for k in KINDS for t in thresholds}
    for number, path in enumerate(chosen):
        rng = np.random.default_rng((20260, number))
        kind = list(KINDS)[number % len(KINDS)]
        picture, where = damaged(opened(path), rng, kind, given.marks)
        writing = kind == WRITING
        sure = damage.find(to_engine(picture), writing=writing, weights=given.weights)[-1]
        for t in thresholds:
            found = damage.marked(sure, t)
            hit, right = (where & near(found)).sum(), (found & near(where)).sum()
            counts[kind, t] += hit, where.sum(), right, found.sum()
        if given.save and number < 3 * len(KINDS):
            given.save.mkdir(parents=True, exist_ok=True)
            found = damage.marked(sure, thresholds[0])
            images.write(given.save / f"{number:02}.png", images.Photo(shown(picture, found)))
    for t in thresholds:
        print(f"threshold {t:g}: recall, precision")
        rows = [*((k, counts[k, t]) for k in KINDS), ("all", sum(counts[k, t] for k in KINDS))]
        for name, (hit, there, right, found) in rows:
            print(f"  {name:20} {hit / max(there, 1):6.1%} {right / max(found, 1):6.1%}")
    if given.sound:
        kinds = "damage", WRITING
        shares: dict[tuple[str, float], list[float]] = {
            (k, t): [] for k in kinds for t in thresholds
        }
        took, area = 0.0, 0
        for path in photos(given.sound):
            picture = opened(path)
            began = time.monotonic()
            both = damage.find(to_engine(picture), writing=True, weights=given.weights)
            took += time.monotonic() - began
            area += picture.shape[0] * picture.shape[1]
            for kind, sure in zip(kinds, both, strict=True):
                for t in thresholds:
                    shares[kind, t].append(float(damage.marked(sure, t).mean()))
        for (kind, t), found in shares.items():
            print(
                f"{kind} where there is none, at {t:g}: {np.mean(found):.3%} of the pixels, "
                f"{max(found):.3%} at the worst, none on {np.mean(np.array(found) == 0):.0%} of "
                f"{len(found)} photos"
            )
        print(f"{took / area * 1e6:.2f} s / MP")


if __name__ == "__main__":
    main()
