"""The same five lines over many files: which file becomes which, and the loop over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import images
from .errors import RestorekitError
from .restorer import Restorer
from .task import Result

ON_EXISTS = ("error", "skip", "overwrite", "rename")
CONTRAST = 4.0  # a deviation map is shown at this many times its size


@dataclass(frozen=True)
class Job:
    """One picture: where from (None: from nothing), where to, its name for noise and messages.

    With several samples `targets` are those of each sample, of their mean and of their deviation.
    """

    source: Path | None
    target: Path
    name: str
    samples: int = 1

    @property
    def targets(self) -> list[Path]:
        if self.samples == 1:
            return [self.target]
        names = [*map(str, range(1, self.samples + 1)), "mean", "deviation"]
        return [self.target.with_stem(f"{self.target.stem}-{name}") for name in names]


@dataclass(frozen=True)
class Outcome:
    """What became of a job: the files written, what to tell, or why it failed."""

    job: Job
    written: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str = ""
    error: Exception | None = None


def plan(inputs: Sequence[Path], output: Path, samples: int = 1) -> list[Job]:
    """Pairs every input file with its output.

    One file goes to the file `output`, and so does what needs no input; several, or a folder's,
    go into the folder `output` under their own names, a folder's tree mirrored.

    Raises:
        RestorekitError: if an input is missing, two would become the same output, or one would
            overwrite an original.
    """
    if not inputs:
        return [Job(None, output, output.name, samples)]
    alone = len(inputs) == 1 and not inputs[0].is_dir()
    jobs: list[Job] = []
    for given in inputs:
        if not given.exists():
            raise RestorekitError(f"{given}: no such file; check the path")
        if alone:
            if output.is_dir():
                raise RestorekitError(
                    f"{output}: is a folder; for one photo name a file, as {output / given.name}"
                )
            jobs.append(Job(given, output, given.name, samples))
        elif given.is_dir():
            jobs += [
                Job(given / name, output / name, name.as_posix(), samples)
                for name in (p.relative_to(given) for p in _photos_below(given, output))
            ]
        else:
            jobs.append(Job(given, output / given.name, given.name, samples))
    if not jobs:
        raise RestorekitError(f"{inputs[0]}: holds no photos; known are {known_suffixes()}")
    if not alone and output.exists() and not output.is_dir():
        raise RestorekitError(f"{output}: is a file; several photos need a folder as output")
    sources = {job.source.resolve() for job in jobs if job.source}
    takers: dict[Path, Path | None] = {}
    for job in jobs:
        for target in job.targets:
            place = target.resolve()
            if place in sources:
                raise RestorekitError(
                    f"{target}: is an input itself; name another output, originals are kept"
                )
            if place in takers:
                raise RestorekitError(
                    f"{job.source}: would become the same file as {takers[place]}; "
                    "restore them into different folders"
                )
            takers[place] = job.source
    return jobs


def known_suffixes() -> str:
    """For messages."""
    return " ".join(sorted(images.SUFFIXES))


def _photos_below(folder: Path, output: Path) -> Iterator[Path]:
    """Image files below a folder, sorted, without what lies in the output folder."""
    skipped = output.resolve()
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(d for d in folders if (here / d).resolve() != skipped)
        for name in sorted(files):
            if Path(name).suffix.lower() in images.SUFFIXES:
                yield here / name


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


def run(
    jobs: Sequence[Job],
    restorer: Restorer,
    *,
    on_exists: str = "error",
    progress: Callable[[Job], Any] | None = None,
    **options: Any,
) -> Iterator[Outcome]:
    """Restores every job; a failed one is reported and the others go on.

    Args:
        progress: gives the sampler's progress callback for a job.
        options: the task's, resolved.
    """
    for job in jobs:
        try:
            yield _restore(job, restorer, on_exists, progress, options)
        except RestorekitError as error:
            yield Outcome(job, failure=str(error), error=error)
        except Exception as error:  # a plugin's, say: the other photos are still wanted
            what = " ".join(f"{type(error).__name__}: {error}".split())
            yield Outcome(job, failure=f"{job.name}: internal error: {what}", error=error)


def _restore(
    job: Job,
    restorer: Restorer,
    on_exists: str,
    progress: Callable[[Job], Any] | None,
    options: dict[str, Any],
) -> Outcome:
    free = [free_target(target, on_exists) for target in job.targets]
    if not any(free):
        return Outcome(job, notes=("exists, skipped",))
    images.check_writable(job.target)
    photo = images.read(job.source) if job.source else None
    if photo:
        images.check_writable(job.target, photo)
    results = []
    for number in range(job.samples):
        callback = progress(job) if progress else None
        try:
            result = restorer(
                photo.pixels if photo else None,
                photo.alpha if photo else None,
                name=job.name if job.source else "",  # what has no source is the seed's alone
                sample_number=number,
                progress=callback,
                **options,
            )
        except RestorekitError as error:
            raise RestorekitError(f"{job.source or job.target}: {error}") from error
        results.append(result)
    photo = photo or images.Photo(results[0].pixels)
    return Outcome(job, write_results(free, photo, results), results[0].notes)


def write_results(
    targets: Sequence[Path | None], photo: images.Photo, results: Sequence[Result]
) -> tuple[Path, ...]:
    """Writes one result; of several also their mean and standard deviation. Skips None."""
    pictures = [photo.with_pixels(r.pixels, alpha=r.alpha) for r in results]
    if len(results) > 1:
        stack = np.stack([r.pixels for r in results]).astype(np.float32)
        kind = results[0].pixels.dtype
        deviation = stack.std(axis=0, ddof=1).mean(axis=2, keepdims=True) * CONTRAST
        deviation = deviation.clip(0, np.iinfo(kind).max)
        mean = np.rint(stack.mean(axis=0)).astype(kind)
        pictures.append(photo.with_pixels(mean, alpha=results[0].alpha))
        pictures.append(photo.with_pixels(np.rint(deviation).astype(kind), alpha=None))
    wanted = [(path, p) for path, p in zip(targets, pictures, strict=True) if path]
    for path, picture in wanted:
        images.write(path, picture)
    return tuple(path for path, _ in wanted)
