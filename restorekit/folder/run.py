"""The five lines over many files: decoding, restoring and encoding at the same time."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import images
from ..errors import RestorekitError
from ..restorer import Restorer
from ..task import Result
from .manifest import Manifest, digest
from .plan import Job

INTERRUPTED = 130  # exit code
CONTRAST = 4.0  # a deviation map is shown at this many times its size
AHEAD = 2  # photos decoded before their turn, and as many waiting to be encoded,
AHEAD_MEGAPIXELS = 64.0  # as long as all of them together are not larger


@dataclass(frozen=True)
class Outcome:
    """What became of a job: the files written, what to tell, or why it failed."""

    job: Job
    written: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str = ""
    error: Exception | None = None
    skipped: bool = False
    megapixels: float = 0.0
    seconds: float = 0.0
    nfe: int = 0


@dataclass(frozen=True)
class Files:
    """How files are read and written.

    Attributes:
        quality: of lossy formats; None is a JPEG's own, and 95 else.
        bit_depth: 8 or 16, in formats that can; None is the photo's own.
        strip_metadata: leave out EXIF, XMP and DPI. The colour profile stays.
        max_megapixels: larger photos are refused by their header.
    """

    quality: int | None = None
    bit_depth: int | None = None
    strip_metadata: bool = False
    max_megapixels: float = 178.0

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
    """A decoded photo (None: made from nothing), where its pictures go, and its key."""

    job: Job
    photo: images.Photo | None
    targets: list[Path | None]
    key: str


def free_target(target: Path, on_exists: str) -> Path | None:
    """Where to write, given what to do with an existing file; None to skip it.

    Raises:
        RestorekitError: if it exists and that is an error.
    """
    if not target.exists() or on_exists == "overwrite":
        return target
    if on_exists == "skip":
        return None
    if on_exists == "error":
        raise RestorekitError(f"{target}: exists; use --on-exists overwrite, rename or skip")
    number = 1
    while (other := target.with_stem(f"{target.stem}-{number}")).exists():
        number += 1
    return other


class Runner:
    """A restorer at work on files, with what is the same for all of them.

    Args:
        restorer: the task, its choices made.
        options: the task's, resolved.
        on_exists: what to do about an output that is there and not the manifest's own.
        manifest: of the output folder; None where a single file is written.
        files: how they are read and written.
        progress: gives the sampler's progress callback for a job.
    """

    def __init__(
        self,
        restorer: Restorer,
        options: dict[str, Any],
        *,
        on_exists: str = "error",
        manifest: Manifest | None = None,
        files: Files = Files(),
        progress: Callable[[Job], Any] | None = None,
    ) -> None:
        self.restorer = restorer
        self.options = options
        self.on_exists = on_exists
        self.manifest = manifest
        self.files = files
        self.progress = progress
        self.settings = fingerprint(restorer, options, files) if manifest else ""

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Restores every job, in order; a failed one is reported and the others go on.

        While one photo is restored the next are decoded and the last ones encoded.
        """
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            waiting = deque(jobs)
            coming: deque[tuple[Job, float, Future[Loaded | Outcome]]] = deque()
            going: deque[tuple[float, Future[Outcome]]] = deque()
            try:
                while waiting or coming:
                    while waiting and len(coming) <= AHEAD:
                        source = waiting[0].source
                        size = images.megapixels(source) if source else 0.0
                        held = sum(c[1] for c in coming) + sum(g[0] for g in going)
                        if coming and held + size > AHEAD_MEGAPIXELS:
                            break
                        job = waiting.popleft()
                        coming.append((job, size, reader.submit(self._guard, self.load, job)))
                    job, size, future = coming.popleft()
                    loaded = future.result()
                    if isinstance(loaded, Loaded):
                        loaded = self._guard(self.restore, job, loaded)
                    going.append((size, writer.submit(self._guard, self.finish, job, loaded)))
                    while going and (going[0][1].done() or len(going) > AHEAD or size > 16):
                        yield going.popleft()[1].result()
                while going:
                    yield going.popleft()[1].result()
            except BaseException as error:
                # The first Ctrl-C finishes what is being written, a second one drops it too.
                reader.shutdown(wait=False, cancel_futures=True)
                try:
                    writer.shutdown(cancel_futures=True)
                except KeyboardInterrupt:
                    images.abandon()
                    os._exit(INTERRUPTED)  # a thread that is encoding cannot be stopped
                raise error

    def _guard(self, stage: Callable[..., Any], job: Job, *more: Any) -> Any:
        """A stage's result, or what it failed of as an Outcome."""
        try:
            return stage(job, *more)
        except RestorekitError as error:
            return self._failed(Outcome(job, failure=str(error), error=error))
        except Exception as error:  # a plugin's, say: the other photos are still wanted
            what = " ".join(f"{type(error).__name__}: {error}".split())
            failure = f"{job.name}: internal error: {what}"
            return self._failed(Outcome(job, failure=failure, error=error))

    def _failed(self, outcome: Outcome) -> Outcome:
        if self.manifest is not None:
            with contextlib.suppress(RestorekitError):  # a full disk has been told already
                self.manifest.fail(outcome.job, outcome.failure)
        return outcome

    def preview(self, job: Job) -> str:
        """What `run` would do with a job."""
        try:
            loaded = self.open(job)
        except RestorekitError as error:
            return f"would fail: {error}"
        return loaded.notes[0] if isinstance(loaded, Outcome) else "would be restored"

    def open(self, job: Job) -> Loaded | Outcome:
        """Where a job's pictures go, before its photo is read; or why there is nothing to do."""
        key = self.key(job) if self.manifest else ""
        if self.manifest and self.manifest.finished(job, key):
            return Outcome(job, notes=("done already, skipped",), skipped=True)
        targets = [
            target
            if self.manifest and target.exists() and self.manifest.owns(job, target)
            else free_target(target, self.on_exists)
            for target in job.targets
        ]
        if not any(targets):
            return Outcome(job, notes=("exists, skipped",), skipped=True)
        images.check_writable(job.target)
        self.files.check(job.target)
        return Loaded(job, None, targets, key)

    def load(self, job: Job) -> Loaded | Outcome:
        """Decodes a photo, unless there is nothing to do."""
        opened = self.open(job)
        if isinstance(opened, Outcome) or job.source is None:
            return opened
        photo = images.read(job.source, max_megapixels=self.files.max_megapixels)
        images.check_writable(job.target, photo)
        return dataclasses.replace(opened, photo=photo)

    def restore(self, job: Job, loaded: Loaded) -> Restored:
        """Every sample of a photo."""
        photo = loaded.photo
        results = []
        for number in range(job.samples):
            try:
                result = self.restorer(
                    photo.pixels if photo else None,
                    photo.alpha if photo else None,
                    name=job.name if job.source else "",  # without a source the seed decides
                    sample_number=number,
                    progress=self.progress(job) if self.progress else None,
                    **self.options,
                )
            except RestorekitError as error:
                raise RestorekitError(f"{job.source or job.target}: {error}") from error
            results.append(result)
        return Restored(loaded, results)

    def finish(self, job: Job, restored: Restored | Outcome) -> Outcome:
        """Encodes and writes, and records it before and after."""
        if isinstance(restored, Outcome):
            return restored
        loaded, results = restored.loaded, restored.results
        if self.manifest:
            self.manifest.begin(job, loaded.key)
        photo = loaded.photo or images.Photo(results[0].pixels)
        scratch = self.manifest.scratch if self.manifest else None
        written = []
        for target, picture in pictures_of(loaded.targets, photo, results):
            picture = self.files.prepared(picture)
            images.write(target, picture, quality=self.files.quality, scratch=scratch)
            written.append(target)
        if self.manifest:
            self.manifest.done(job, loaded.key, written)
        height, width = results[0].pixels.shape[:2]
        return Outcome(
            job,
            tuple(written),
            (*photo.notes, *results[0].notes),
            megapixels=height * width / 1e6,
            seconds=sum(result.seconds for result in results),
            nfe=sum(result.nfe for result in results),
        )

    def key(self, job: Job) -> str:
        """Of a photo's content and all that decides what becomes of it."""
        task = self.restorer.task
        read = [job.source, *task.reads(job.name, **self.options)] if job.source else []
        parts = [self.settings, *(digest(path) for path in read if path)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Restored:
    """A photo's results, to be written."""

    loaded: Loaded
    results: list[Result]


def fingerprint(restorer: Restorer, options: dict[str, Any], files: Files) -> str:
    """Of the settings and the weights."""
    settings = {
        "task": restorer.task.name,
        "options": {name: repr(value) for name, value in sorted(options.items())},
        "recipe": dataclasses.asdict(restorer.recipe),
        "mode": restorer.mode,
        "seed": restorer.seed,
        "ensemble": restorer.ensemble,
        "precision": str(restorer.prior.precision),
        "files": [files.quality, files.bit_depth, files.strip_metadata],
        "prior": digest(restorer.prior_file),
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def pictures_of(
    targets: Sequence[Path | None], photo: images.Photo, results: Sequence[Result]
) -> list[tuple[Path, images.Photo]]:
    """What goes where: one result; or several, their mean and deviation. None is left out."""
    pictures = [photo.with_pixels(r.pixels, alpha=r.alpha) for r in results]
    if len(results) > 1:
        stack = np.stack([r.pixels for r in results]).astype(np.float32)
        kind = results[0].pixels.dtype
        deviation = stack.std(axis=0, ddof=1).mean(axis=2, keepdims=True) * CONTRAST
        deviation = deviation.clip(0, photo.peak)
        mean = stack.mean(axis=0)
        if kind.kind == "u":
            mean, deviation = np.rint(mean), np.rint(deviation)
        pictures.append(photo.with_pixels(mean.astype(kind), alpha=results[0].alpha))
        pictures.append(photo.with_pixels(deviation.astype(kind), alpha=None))
    return [(path, p) for path, p in zip(targets, pictures, strict=True) if path]
