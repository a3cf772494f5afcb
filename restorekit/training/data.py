"""Photos for training: decoded once into one memory-mapped file, cropped by step number.

A batch is a pure function of (seed, step), so a resumed run sees what the uninterrupted one
would have seen, and every process of a distributed run can take its share of the same batch.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from .. import images
from ..errors import RestorekitError

log = logging.getLogger(__name__)

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # BT.601


@dataclass(frozen=True)
class Entry:
    """One picture in the cache: its place and shape, and whether it is held out."""

    offset: int
    height: int
    width: int
    held_out: bool


def find(folder: Path) -> list[Path]:
    """All image files below a folder, sorted by their path within it."""
    if not folder.is_dir():
        raise RestorekitError(f"{folder}: not a folder; give a folder of photos to train on")
    suffixes = images.SUFFIXES
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.is_file())


def build_cache(
    folder: Path, cache: Path, scales: tuple[float, ...], held_out: float, smallest: int
) -> list[Entry]:
    """Decodes every photo below `folder`, at every scale, into `cache`; or finds it done.

    Too small, unreadable and duplicate files are named in a warning and left out. Whether a
    file is held out follows from its content alone.

    Raises:
        RestorekitError: if no usable photo remains.
    """
    files = find(folder)
    stamp = [[str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns] for p in files]
    key = hashlib.sha256(json.dumps([stamp, scales, held_out, smallest]).encode()).hexdigest()
    index = cache / "index.json"
    if index.exists():
        saved = json.loads(index.read_text())
        if saved["key"] == key:
            return [Entry(*values) for values in saved["entries"]]
    cache.mkdir(parents=True, exist_ok=True)
    entries: list[Entry] = []
    seen: dict[str, Path] = {}
    offset = 0
    with open(cache / "pixels.part", "wb") as out:
        for path in files:
            try:
                pixels = images.read(path).rgb8()
            except RestorekitError as error:
                log.warning("left out: %s", error)
                continue
            digest = hashlib.sha256(pixels.tobytes()).hexdigest()
            if digest in seen:
                log.warning("left out: %s: the same picture as %s", path, seen[digest])
                continue
            seen[digest] = path
            if min(pixels.shape[:2]) < smallest:
                log.warning("left out: %s: smaller than %d pixels", path, smallest)
                continue
            aside = int(digest[:8], 16) / 2**32 < held_out
            for scale in scales:
                height, width = (round(side * scale) for side in pixels.shape[:2])
                if min(height, width) < smallest:
                    continue
                small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
                out.write(np.ascontiguousarray(small).tobytes())
                entries.append(Entry(offset, height, width, aside))
                offset += small.size
    if not entries:
        raise RestorekitError(f"{folder}: no usable photo of at least {smallest} pixels a side")
    (cache / "pixels.part").replace(cache / "pixels")
    rows = [[e.offset, e.height, e.width, e.held_out] for e in entries]
    part = cache / "index.part"
    part.write_text(json.dumps({"key": key, "entries": rows}))
    part.replace(index)
    return entries


class Photos:
    """Random crops of the cached photos, and the held-out ones.

    Args:
        folder, cache: the photos, and where their decoded pixels are kept.
        crop: side of the crops, pixels.
        scales, held_out, grey, rotate, seed: see `Settings`.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path,
        crop: int,
        *,
        scales: tuple[float, ...] = (1.0,),
        held_out: float = 0.0,
        grey: float = 0.0,
        rotate: bool = True,
        seed: int = 0,
    ) -> None:
        entries = build_cache(folder, cache, scales, held_out, crop)
        self.pixels = np.memmap(cache / "pixels", dtype=np.uint8, mode="r")
        self.train = [e for e in entries if not e.held_out] or entries
        self.held_out = [e for e in entries if e.held_out] or entries[: len(scales)]
        areas = np.array([e.height * e.width for e in self.train], dtype=np.float64)
        self.cumulative = np.cumsum(areas / areas.sum())
        self.crop, self.grey, self.rotate, self.seed = crop, grey, rotate, seed

    def whole(self, entry: Entry) -> np.ndarray:
        """(H, W, 3) uint8, a view of the cache."""
        size = entry.height * entry.width * 3
        flat = self.pixels[entry.offset : entry.offset + size]
        return flat.reshape(entry.height, entry.width, 3)

    def batch(self, step: int, size: int) -> Tensor:
        """The crops of a step, (size, 3, crop, crop) uint8; the same for the same step."""
        rng = np.random.default_rng((self.seed, step))
        out = np.empty((size, self.crop, self.crop, 3), dtype=np.uint8)
        for i in range(size):
            chosen = np.searchsorted(self.cumulative, rng.random(), side="right")
            entry = self.train[min(int(chosen), len(self.train) - 1)]
            top = rng.integers(entry.height - self.crop + 1)
            left = rng.integers(entry.width - self.crop + 1)
            crop = self.whole(entry)[top : top + self.crop, left : left + self.crop]
            if rng.random() < 0.5:
                crop = crop[:, ::-1]
            if self.rotate:
                crop = np.rot90(crop, int(rng.integers(4)))
            if rng.random() < self.grey:
                crop = np.rint(crop @ LUMA)[..., None]
            out[i] = crop
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    def batches(self, first: int, size: int) -> Iterator[Tensor]:
        """Batches from a step on, the next one always being prepared in the background."""
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self.batch, first, size)
            while True:
                ready = ahead.result()
                first += 1
                ahead = pool.submit(self.batch, first, size)
                yield ready

    def validation(self, count: int, side: int) -> Tensor:
        """Middle crops of held-out photos, (N, 3, side, side) uint8, N <= count."""
        crops: list[np.ndarray] = []
        for entry in self.held_out:
            if len(crops) == count:
                break
            if min(entry.height, entry.width) < side:
                continue
            top, left = (entry.height - side) // 2, (entry.width - side) // 2
            crops.append(np.array(self.whole(entry)[top : top + side, left : left + side]))
        if not crops:
            return self.validation(count, self.crop)
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 to float32 on [-1, 1]."""
    return pixels.float().div_(127.5).sub_(1)
