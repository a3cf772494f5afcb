"""Photos for training: decoded once into one memory-mapped file, cropped by step number.

A crop is a pure function of (seed, step, its number in the batch), so a resumed run sees what the
uninterrupted one would have seen, and the processes of a distributed run share the same batch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from filelock import FileLock, Timeout
from msgspec import Meta
from torch import Tensor

from .. import images, state
from ..engine.noise import Noise
from ..errors import RestorekitError
from ..files import clear, make_folder, read, unwritable, whole, write
from ..fill import telea
from .holes import hole
from .photographed import MARGIN, photographed
from .run import REPORT_EVERY, Report
from .settings import Settings

log = logging.getLogger(__name__)

GUESSED = 0.7  # share of the torn crops that have a first guess in their holes, and not noise
PURE = 0.2  # share of the faded crops that are of pure colours
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # BT.601


Made = TypeVar("Made")
Share = Annotated[float, Meta(ge=0, le=1)]
Side = Annotated[int, Meta(ge=1, le=1 << 24)]


class Entry(NamedTuple):
    """One picture in the cache.

    Attributes:
        photo: its file, below the folder.
        draw: on [0, 1), from the photo's content; it is held out where that is below the share.
        scale: what it is reduced by.
        offset, height, width: where its pixels lie, and their shape.
    """

    photo: str
    draw: Share
    scale: Share
    offset: Annotated[int, Meta(ge=0)]
    height: Side
    width: Side

    @property
    def end(self) -> int:
        """Where the next picture's pixels begin."""
        return self.offset + self.height * self.width * 3


class Batch(NamedTuple):
    """Crops (B, 3, crop, crop), and what is wrong with those that were photographed.

    Attributes:
        x_0: clean, uint8.
        faults: float32, what a camera or a file adds to pixels on [-1, 1]; 0 for all other crops.
            None where no crop is photographed or torn.
        holes: (B, 1, crop, crop) bool, True where a crop is torn, and all over those that are not.
            There the faults are those of a first guess, or 0. None where no crop is torn.
    """

    x_0: Tensor
    faults: Tensor | None = None
    holes: Tensor | None = None

    def pinned(self) -> Batch:
        """In memory that a GPU can fetch while it computes."""
        more = (None if part is None else part.pin_memory() for part in self[1:])
        return Batch(self.x_0.pin_memory(), *more)


class Crop(NamedTuple):
    """One of a batch's: (crop, crop, 3) uint8, (3, crop, crop) float32, (crop, crop) bool."""

    x_0: np.ndarray
    faults: np.ndarray | None = None
    hole: np.ndarray | None = None


def decoded(files: list[Path], at_once: int = 8) -> Iterator[tuple[Path, np.ndarray]]:
    """The files that can be read, in order, with their pixels (H, W, 3) uint8; a few ahead."""

    def read(path: Path) -> np.ndarray | None:
        try:
            return images.read(path).rgb8()
        except RestorekitError as error:
            log.warning("left out: %s", error)
            return None

    with ThreadPoolExecutor() as pool:
        for first in range(0, len(files), at_once):
            some = files[first : first + at_once]
            for path, pixels in zip(some, pool.map(read, some), strict=True):
                if pixels is not None:
                    yield path, pixels


def build_cache(
    folder: Path,
    cache: Path,
    scales: tuple[float, ...],
    without: Path | None = None,
    report: Report | None = None,
) -> tuple[Path, list[Entry]]:
    """Decodes every photo below `folder`, at every scale, into `cache`; or finds it done.

    The files there are named for what they hold, so that runs may share a cache. Unreadable and
    duplicate photos are named in a warning and left out.

    Args:
        without: a folder below `folder` whose pictures are none.
        report: told every few seconds how many photos are decoded.

    Returns:
        The file of all pixels, uint8, and what is where in it.
    """
    if not folder.is_dir():
        raise RestorekitError(f"{folder}: not a folder; give a folder of photos to train on")
    root, outside = folder.resolve(), without.resolve() if without else None
    files = [path for path in images.below(root) if outside not in path.parents]
    stamp = [[str(p.relative_to(root)), p.stat().st_size, p.stat().st_mtime_ns] for p in files]
    key = hashlib.sha256(json.dumps([Entry._fields, stamp, scales]).encode()).hexdigest()
    index, pixels = (cache / f"{key[:16]}.{suffix}" for suffix in ("json", "pixels"))
    make_folder(cache)
    with waited_for(FileLock(cache / "cache.lock"), cache):
        clear(pixels)
        found = indexed(index, pixels)
        if found is None:
            with whole(pixels) as part:
                found = decode_into(part, root, files, scales, report)
            write(index, json.dumps(found))
        return pixels, found


def indexed(index: Path, pixels: Path) -> list[Entry] | None:
    """What a cache holds; None where it is not there, or where the index does not fit it."""
    if not (index.exists() and pixels.is_file()):
        return None
    try:
        found = state.from_json(read(index), list[Entry], index, "the photos are decoded anew")
        if pixels.stat().st_size != max((e.end for e in found), default=0):
            raise RestorekitError(f"{pixels}: of another size than its index says; decoding anew")
    except RestorekitError as error:
        log.warning("%s", error)
        return None
    return found


@contextlib.contextmanager
def waited_for(lock: FileLock, cache: Path) -> Iterator[None]:
    """Holds a lock; says so where another run has it. Raises RestorekitError if it cannot be."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("%s: another run decodes photos into it; waiting", cache)
        lock.acquire()
    except OSError as error:
        raise unwritable(Path(lock.lock_file), error) from error
    try:
        yield
    finally:
        lock.release()


def decode_into(
    pixels_file: Path,
    root: Path,
    files: list[Path],
    scales: tuple[float, ...],
    report: Report | None,
) -> list[Entry]:
    """Writes the pixels of every photo at every scale, one after the other."""
    entries: list[Entry] = []
    seen: dict[str, Path] = {}
    offset, told = 0, time.monotonic()
    with open(pixels_file, "wb") as out:
        for path, pixels in decoded(files):
            if report is not None and time.monotonic() - told > REPORT_EVERY:
                report({"decoded": len(seen), "photos": len(files)})
                told = time.monotonic()
            digest = hashlib.sha256(pixels.tobytes()).hexdigest()
            if digest in seen:
                log.warning("left out: %s: the same picture as %s", path, seen[digest])
                continue
            seen[digest] = path
            name, draw = str(path.relative_to(root)), int(digest[:8], 16) / 2**32
            for scale in scales:
                height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
                small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
                out.write(np.ascontiguousarray(small).tobytes())
                entries.append(Entry(name, draw, scale, offset, height, width))
                offset += small.size
    return entries


class Photos:
    """Random crops of the cached photos, and the held-out ones.

    Photos too small for a crop are named in a warning and left out. Where the share held out comes
    to nothing, photos trained on stand in for the held-out ones.

    Args:
        folder, cache, without, report: see `build_cache`.
        crop: side of the crops, pixels.
        scales, held_out, grey, faded, real, holes, rotate, seed: see `Settings`.

    Attributes:
        key: changes with the photos.
        count, count_held_out: of photos, at any scale.

    Raises:
        RestorekitError: if no photo is large enough.
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
        faded: float = 0.0,
        real: float = 0.0,
        holes: float = 0.0,
        rotate: bool = True,
        seed: int = 0,
        without: Path | None = None,
        report: Report | None = None,
    ) -> None:
        file, everything = build_cache(folder, cache, scales, without, report)
        entries = [e for e in everything if min(e.height, e.width) >= crop]
        large = {e.photo for e in entries}
        for name in sorted({e.photo for e in everything} - large):
            log.warning("left out: %s: smaller than %d pixels", folder / name, crop)
        if not entries:
            raise RestorekitError(f"{folder}: no usable photo of at least {crop} pixels a side")
        self.key = file.stem
        self.pixels = np.memmap(file, dtype=np.uint8, mode="r")
        aside = [e for e in entries if e.draw < held_out]
        self.count, self.count_held_out = len(large), len({e.photo for e in aside})
        self.train = [e for e in entries if e.draw >= held_out] or entries
        self.held_out = aside or entries[: len(scales)]
        areas = np.array([e.height * e.width for e in self.train], dtype=np.float64)
        at = np.array([e.scale for e in self.train])
        for scale in np.unique(at):  # each scale as often as the others, its photos by their area
            areas[at == scale] /= areas[at == scale].sum()
        self.cumulative = np.cumsum(areas / areas.sum())
        self.crop, self.grey, self.rotate, self.seed = crop, grey, rotate, seed
        self.faded, self.real, self.holes = faded, real, holes

    @classmethod
    def of(cls, settings: Settings, folder: Path, cache: Path, **how: Any) -> Photos:
        """As a run's settings have it."""
        names = ("scales", "held_out", "grey", "faded", "real", "holes", "rotate", "seed")
        return cls(folder, cache, settings.crop, **{n: getattr(settings, n) for n in names}, **how)

    def whole(self, entry: Entry) -> np.ndarray:
        """(H, W, 3) uint8, a view of the cache."""
        flat = self.pixels[entry.offset : entry.end]
        return flat.reshape(entry.height, entry.width, 3)

    def crop_of(self, step: int, index: int) -> Crop:
        """The crop with that number in a step's batch."""
        rng = np.random.default_rng((self.seed, step, index))
        chosen = np.searchsorted(self.cumulative, rng.random(), side="right")
        entry = self.train[min(int(chosen), len(self.train) - 1)]
        side = self.crop
        real = bool(self.real) and rng.random() < self.real
        if real and min(entry.height, entry.width) >= side + 2 * MARGIN:
            side += 2 * MARGIN
        top = rng.integers(entry.height - side + 1)
        left = rng.integers(entry.width - side + 1)
        crop = self.whole(entry)[top : top + side, left : left + side]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        if self.rotate:
            crop = np.rot90(crop, int(rng.integers(4)))
        if rng.random() < self.grey:
            crop = np.broadcast_to(np.rint(crop @ LUMA)[..., None], crop.shape).astype(np.uint8)
        if self.faded and rng.random() < self.faded:
            crop = fade(crop, rng)
        if side == self.crop:
            return torn(crop, rng) if self.holes and rng.random() < self.holes else Crop(crop)
        noise = Noise(self.seed, f"crop {step} {index}")
        clean, seen = photographed(crop, self.crop, rng, noise)
        kept = clean.add(1).mul(127.5).round().to(torch.uint8)
        return Crop(kept.permute(1, 2, 0).numpy(), (seen - clean).numpy())

    def batch(self, step: int, share: range) -> Batch:
        """The crops of a step with those numbers."""
        shape = len(share), self.crop, self.crop
        x_0 = np.empty((*shape, 3), dtype=np.uint8)
        faulty = bool(self.real or self.holes)
        faults = np.zeros((len(share), 3, *shape[1:]), np.float32) if faulty else None
        holes = np.ones(shape, dtype=bool) if self.holes else None
        for row, index in enumerate(share):
            crop = self.crop_of(step, index)
            x_0[row] = crop.x_0
            if faults is not None and crop.faults is not None:
                faults[row] = crop.faults
            if holes is not None and crop.hole is not None:
                holes[row] = crop.hole
        return Batch(
            torch.from_numpy(x_0).permute(0, 3, 1, 2),
            None if faults is None else torch.from_numpy(faults),
            None if holes is None else torch.from_numpy(holes)[:, None],
        )

    def batches(
        self, first: int, share: range, pinned: bool = False, depth: int = 4
    ) -> Iterator[Batch]:
        """Batches from a step on, the next ones always being prepared in the background.

        Args:
            pinned: in memory that a GPU can fetch while it computes.
        """

        def batch(step: int) -> Batch:
            made = self.batch(step, share)
            return made.pinned() if pinned else made

        return ahead(batch, first, depth)

    def validation(self, count: int, side: int) -> Tensor:
        """Middle crops of held-out photos, (N, 3, side, side) uint8, N <= count; at every scale."""
        crops: list[np.ndarray] = []
        fitting = [e for e in self.held_out if min(e.height, e.width) >= side]
        chosen = np.linspace(0, len(fitting) - 1, min(count, len(fitting))).round().astype(int)
        for entry in (fitting[i] for i in chosen):
            top, left = (entry.height - side) // 2, (entry.width - side) // 2
            crops.append(np.array(self.whole(entry)[top : top + side, left : left + side]))
        if not crops:
            return self.validation(count, min(side, self.crop))
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def ahead(make: Callable[[int], Made], first: int, depth: int = 4) -> Iterator[Made]:
    """make(first), make(first + 1), ... for ever, the next ones being made by as many threads."""
    with ThreadPoolExecutor(depth) as pool:
        coming = deque(pool.submit(make, first + i) for i in range(depth))
        while True:
            coming.append(pool.submit(make, first + depth))
            first += 1
            yield coming.popleft().result()


def torn(crop: np.ndarray, rng: np.random.Generator) -> Crop:
    """A crop with holes, mostly with a first guess in them."""
    where = hole(len(crop), rng)
    if rng.random() >= GUESSED:
        return Crop(crop, None, where)
    faults = telea(crop, where).astype(np.float32) - crop
    return Crop(crop, faults.transpose(2, 0, 1) / 127.5, where)


def fade(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A crop as pictures seldom are: dark, of little contrast, or of pure colours.

    Two in five each of the first two, with 0 to 30 % of the contrast; one in five has each channel
    all or nothing, in the shapes of the photo.
    """
    which = rng.random()
    if which < PURE:
        return np.where(crop > rng.uniform(40, 215, 3), 255, 0).astype(np.uint8)
    towards = 0.0 if which < (1 + PURE) / 2 else rng.uniform(0, 255, 3)
    return np.rint(towards + rng.uniform(0, 0.3) * (crop - towards)).astype(np.uint8)


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 to float32 on [-1, 1]."""
    return pixels.float().div_(127.5).sub_(1)
