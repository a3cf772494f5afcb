"""One photo's way from file to file: decoded, restored, encoded. No record is kept here."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import images, plugins
from ..engine.sampler import Progress
from ..errors import RestorekitError
from ..guard import reason
from ..result import Result
from ..shot import Shot
from .plan import Job

CONTRAST = 4.0  # a deviation map is shown at this many times its size
HELD_MEGAPIXELS = 64.0  # of the photos that a process decodes ahead or has yet to encode


@dataclass(frozen=True)
class Outcome:
    """What became of a job: the files written, what to tell, or why it failed.

    Attributes:
        skipped: the file was there already; `done` where an earlier run wrote it.
        left: it needed nothing, and was written as it was.
    """

    job: Job
    written: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str = ""
    error: Exception | None = None
    skipped: bool = False
    done: bool = False
    left: bool = False
    megapixels: float = 0.0
    seconds: float = 0.0
    nfe: int = 0


@dataclass(frozen=True)
class Files:
    """How files are read and written.

    Attributes:
        quality: of lossy formats; None is 95, and a finer JPEG's own.
        bit_depth: 8 or 16, in formats that can; None is the photo's own.
        strip_metadata: leave out EXIF, XMP and DPI. The colour profile stays.
        provenance: say in XMP what made the pixels.
        max_megapixels: larger photos are refused by their header.
    """

    quality: int | None = None
    bit_depth: int | None = None
    strip_metadata: bool = False
    provenance: bool = True
    max_megapixels: float = 178.0

    @property
    def plain(self) -> bool:
        """Whether a file may stay as it is."""
        return self.quality is None and self.bit_depth is None and not self.strip_metadata

    def check(self, target: Path) -> None:
        """Raises RestorekitError where a format cannot do what is asked."""
        if self.bit_depth == 16 and target.suffix.lower() not in (".png", ".tif", ".tiff"):
            raise RestorekitError(f"{target}: cannot hold 16 bits; write .png or .tif instead")

    def prepared(self, photo: images.Photo) -> images.Photo:
        """A photo as it is to be written."""
        if self.bit_depth is not None:
            photo = photo.at_depth({8: np.uint8, 16: np.uint16}[self.bit_depth])
        return photo.stripped() if self.strip_metadata else photo


@dataclass(frozen=True)
class Loaded:
    """A decoded photo (None: made from nothing), where its pictures go, and its key.

    Of the targets, those in `replaces` were there already and may be replaced.
    """

    job: Job
    photo: images.Photo | None
    targets: list[Path | None]
    key: str
    replaces: frozenset[Path] = frozenset()

    def within(self, folder: Path) -> Loaded:
        """The same with its pictures in a folder of its own, under names that are never long."""
        inside = [
            path and folder / f"{number}{path.suffix}" for number, path in enumerate(self.targets)
        ]
        return dataclasses.replace(self, targets=inside)


@dataclass(frozen=True)
class Restored:
    """A photo's results, to be written."""

    loaded: Loaded
    results: list[Result]

    @property
    def megapixels(self) -> float:
        """Of all results together."""
        return sum(r.pixels.shape[0] * r.pixels.shape[1] for r in self.results) / 1e6


class Spec(Protocol):
    """What is to be done to photos, before any weights are loaded; it can be pickled."""

    @property
    def name(self) -> str: ...
    @property
    def takes_photo(self) -> bool: ...
    @property
    def extras(self) -> tuple[str, ...]: ...
    def reads(self, name: str) -> Sequence[Path]: ...
    def on(self, device: str) -> Spec: ...
    def absolute(self) -> Spec: ...
    def opened(self) -> Restoring: ...


def read_by(spec: Spec, jobs: Sequence[Job]) -> Iterator[Path]:
    """The files that a run reads: photos, masks and the like."""
    for job in jobs:
        if job.source is not None:
            yield job.source
            with contextlib.suppress(RestorekitError):  # which its photo will be told
                yield from spec.reads(job.name)


class Restoring(Protocol):
    """What restores photos, as `chain.Chained` does."""

    at_once: int

    @property
    def plan(self) -> Spec: ...
    @property
    def priors(self) -> Sequence[Path]: ...
    @property
    def settings(self) -> Any: ...
    def __call__(
        self,
        shot: Shot,
        *,
        sample_number: int = ...,
        progress: Progress | None = ...,
        expected: Callable[[tuple[int, int]], None] | None = ...,
    ) -> Result: ...


class Workshop:
    """What restores, at work on one photo after another.

    Args:
        restoring: a task or several, their choices made.
        files: how they are read and written.
        progress: the sampler's callback, where there is one photo alone.
    """

    def __init__(
        self,
        restoring: Restoring,
        files: Files = Files(),
        progress: Progress | None = None,
    ) -> None:
        self.restoring = restoring
        self.files = files
        self.progress = progress
        self.stopping = threading.Event()  # set: what is being restored is dropped

    def read(self, loaded: Loaded) -> Loaded:
        """Decodes a photo, where there is one."""
        job = loaded.job
        if job.source is None:
            return loaded
        photo = images.read(job.source, max_megapixels=self.files.max_megapixels)
        images.check_writable(job.target, photo)
        if self.files.bit_depth == 16:  # so that what is restored has the finer steps
            photo = photo.at_depth(np.uint16)
        return dataclasses.replace(loaded, photo=photo)

    def _going_on(self, done: float, total: int) -> bool | None:
        if self.stopping.is_set():
            return False
        return self.progress(done, total) if self.progress else None

    def restore(self, job: Job, loaded: Loaded) -> Restored:
        """Every sample of a photo."""
        results = []
        for number in range(job.samples):
            try:
                # Without a photo the seed alone decides, and no name.
                shot = Shot.of(loaded.photo, job.name) if loaded.photo else Shot.nothing()
                result = self.restoring(
                    shot,
                    sample_number=number,
                    progress=self._going_on,
                    expected=partial(images.check_size, job.target),
                )
            except RestorekitError as error:
                raise RestorekitError(f"{job.source or job.target}: {error}") from error
            results.append(result)
        return Restored(loaded, results)

    def write(self, restored: Restored) -> Outcome:
        """Encodes and writes every picture."""
        loaded, results = restored.loaded, restored.results
        photo = loaded.photo or images.Photo(results[0].pixels)
        # What was left as it was stays the file that it was, unless something is asked of the file.
        alone = len(results) == 1 and self.files.plain
        left = loaded.photo is not None and all(result.leaves(photo) for result in results)
        notes = (*photo.notes, *images.left_out(loaded.job.target, photo))
        if self.files.strip_metadata:
            notes = photo.notes
        written: list[Path] = []
        stamp = self.files.provenance and not self.files.strip_metadata
        extras = loaded.job.extras
        for target, picture in pictures_of(loaded.targets, photo, results, stamp, extras):
            replace = target in loaded.replaces
            itself = target == loaded.targets[0]  # and no mask, say, where it is there already
            if left and alone and itself and images.copy(target, photo, replace=replace):
                notes = ()
            else:
                picture = self.files.prepared(picture)
                images.write(target, picture, quality=self.files.quality, replace=replace)
            written.append(target)
        height, width = results[0].pixels.shape[:2]
        return Outcome(
            loaded.job,
            tuple(written),
            (*notes, *results[0].notes),
            megapixels=height * width / 1e6,
            seconds=sum(result.seconds for result in results),
            nfe=sum(result.nfe for result in results),
            left=left,
        )


def attempt(stage: Callable[..., Any], job: Job, *more: Any) -> Any:
    """A stage's result, or what it failed of as an Outcome."""
    try:
        return stage(job, *more)
    except RestorekitError as error:
        return Outcome(job, failure=str(error), error=error)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "can't start new thread" not in str(error):
            return _internal(job, error)
        what = "not enough memory, or threads; close other programs, or restore fewer at a time"
        return Outcome(job, failure=f"{job.source or job.target}: {what}", error=error)
    except Exception as error:  # a plugin's, say: the other photos are still wanted
        return _internal(job, error)


def _internal(job: Job, error: Exception) -> Outcome:
    what = plugins.registry().blamed(error) or f"internal error: {reason(error)}"
    return Outcome(job, failure=f"{job.name}: {what}", error=error)


def pictures_of(
    targets: Sequence[Path | None],
    photo: images.Photo,
    results: Sequence[Result],
    stamp: bool = True,
    extra_names: Sequence[str] = (),
) -> list[tuple[Path, images.Photo]]:
    """What goes where: one result; or several, their mean and deviation; then what a task shows
    besides. None is left out.

    Args:
        stamp: say in XMP what made them, where anything did.
    """
    pictures = [r.of(photo, stamp) for r in results]
    if len(results) > 1:
        mean = np.empty_like(results[0].pixels)
        deviation = np.empty_like(mean[..., :1])
        for top in range(0, len(mean), 64):  # strips, as floats of all samples are large
            rows = slice(top, top + 64)
            stack = np.stack([r.pixels[rows] for r in results]).astype(np.float32)
            spread = stack.std(axis=0, ddof=1).mean(axis=2, keepdims=True) * CONTRAST
            for whole, values in ((mean, stack.mean(axis=0)), (deviation, spread)):
                values = values.clip(0, photo.peak)
                whole[rows] = np.rint(values) if mean.dtype.kind == "u" else values
        pictures.append(pictures[0].with_pixels(mean, alpha=results[0].alpha))
        pictures.append(pictures[0].with_pixels(deviation, alpha=None))
    extras = results[0].extras
    pictures += [images.Photo(np.atleast_3d(extras[name])) for name in extra_names]
    return [(path, p) for path, p in zip(targets, pictures, strict=True) if path]
