"""What is to be done about each job of a run, and the record of what was."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Generator, Sequence, Set
from pathlib import Path
from typing import Protocol

from .. import files, images
from ..errors import RestorekitError
from .manifest import Manifest
from .plan import Job
from .records import Told
from .work import Loaded, Outcome, Workshop


class Engine(Protocol):
    """Where photos are restored: in this process, or on other machines."""

    def __call__(self, runner: Runner, jobs: Sequence[Job], /) -> Generator[Outcome]:
        """An outcome for each job. Closed early, it leaves nothing behind that runs or writes."""
        ...


def free_target(
    target: Path,
    on_exists: str,
    taken: Set[Path] = frozenset(),
    owned: Callable[[Path], bool] = lambda _: False,
) -> Path | None:
    """Where to write, given what to do with an existing file; None to skip it.

    Args:
        taken: where other photos of the run will be written.
        owned: whether a file that is there is the photo's own, from an earlier run.

    Raises:
        RestorekitError: if it exists and that is an error.
    """

    def free(path: Path) -> bool:
        return not os.path.lexists(path) or owned(path)

    if on_exists == "overwrite" or free(target):
        return target
    if on_exists == "skip":
        return None
    if on_exists == "error":
        raise files.taken(target)
    number = 1
    while (other := target.with_stem(f"{target.stem}-{number}")) in taken or not free(other):
        number += 1
    return other


class Runner:
    """A workshop with rules about what is there already, and a record of what was done.

    Where the photos are restored is an engine's affair: it opens every job, has the workshop
    read, restore and write what is to be done, and gives an outcome for each.

    Args:
        shop: restores and writes.
        on_exists: what to do about an output that is there and not the manifest's own.
        manifest: of the output folder; None where a single file is written.
        taken: where all photos are to be written, those of other shards too.
        verify: compare finished outputs with the record to the bit, and not their sizes alone.
    """

    def __init__(
        self,
        shop: Workshop,
        *,
        on_exists: str = "error",
        manifest: Manifest | None = None,
        taken: Set[Path] = frozenset(),
        verify: bool = False,
    ) -> None:
        self.verify = verify
        self.shop = shop
        self.on_exists = on_exists
        self.manifest = manifest
        self.settings = fingerprint(shop) if manifest else ""
        self.taken = set(taken)

    def run(self, jobs: Sequence[Job], engine: Engine) -> Generator[Outcome]:
        """Restores every job; a failed one is recorded and reported, and the others go on."""
        with contextlib.closing(engine(self, jobs)) as outcomes:
            for outcome in outcomes:
                if self.manifest and outcome.failure:
                    with contextlib.suppress(RestorekitError):  # a full disk has been told already
                        self.manifest.fail(outcome.job, outcome.failure)
                yield outcome

    def preview(
        self, job: Job, foreseen: Callable[[Job], str] | None = None
    ) -> list[tuple[Path, str]]:
        """What a run would do with a job: where it would write, and what of that.

        Args:
            foreseen: says what would be done to a photo, where they differ.

        Raises:
            RestorekitError: if it would fail, as far as can be told beforehand.
        """
        loaded = self.open(job)
        if isinstance(loaded, Outcome):
            return [(job.target, loaded.notes[0])]
        how = f": {foreseen(job)}" if foreseen else ""
        return [
            (target, f"would be {'overwritten' if target.exists() else 'restored'}{how}")
            for target in loaded.targets
            if target
        ]

    def open(self, job: Job) -> Loaded | Outcome:
        """Where a job's pictures go, before its photo is read; or why there is nothing to do."""
        key = self.key(job) if self.manifest else ""
        if self.manifest and self.manifest.finished(job, key, self.verify):
            return Outcome(job, notes=("done already, skipped",), skipped=True, done=True)

        for target in job.targets:
            files.check_target(target)

        def owned(path: Path) -> bool:
            return self.manifest is not None and self.manifest.owns(job, path)

        targets = [free_target(target, self.on_exists, self.taken, owned) for target in job.targets]
        self.taken.update(target for target in targets if target)
        replaces = frozenset(t for t in targets if t and os.path.lexists(t))
        if not any(targets):
            return Outcome(job, notes=("exists, skipped",), skipped=True)
        images.check_writable(job.target)
        self.shop.files.check(job.target)
        return Loaded(job, None, targets, key, replaces)

    def published(self, loaded: Loaded, outcome: Outcome) -> Outcome:
        """Gives a job's pictures, written and whole, their names; recorded before and after.

        The record has their hashes before they have their names, so that a run that was killed
        in between knows its own from what somebody else has put there.
        """
        assert self.manifest is not None
        targets = [target for target in loaded.targets if target]
        parts = dict(zip(targets, outcome.written, strict=True))
        for target in targets:
            files.check_target(target)
        self.manifest.begin(loaded.job, loaded.key, parts)
        for target, part in parts.items():
            files.make_folder(target.parent)
            replace = self.on_exists == "overwrite" or (
                target in loaded.replaces and self.manifest.owns(loaded.job, target)
            )
            try:
                files.publish(part, target, replace)
            except OSError as error:
                raise files.unwritable(target, error) from error
        told = Told(outcome.notes, outcome.seconds, outcome.megapixels, outcome.nfe)
        self.manifest.done(loaded.job, loaded.key, targets, told)
        return dataclasses.replace(outcome, job=loaded.job, written=tuple(targets))

    def key(self, job: Job) -> str:
        """Of a photo's content and all that decides what becomes of it."""
        read = [job.source, *self.shop.restoring.plan.reads(job.name)] if job.source else []
        parts = [self.settings, job.target.suffix, str(job.samples)]
        parts += [files.digest(path) for path in read if path]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def fingerprint(shop: Workshop) -> str:
    """Of the settings and the weights."""
    how = shop.files
    files = [how.quality, how.bit_depth, how.strip_metadata, how.provenance]
    settings = json.dumps([shop.restoring.settings, files], sort_keys=True)
    return hashlib.sha256(settings.encode()).hexdigest()
