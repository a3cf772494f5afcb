"""What a folder run has done, so that the next one goes on: JSON lines in the output folder."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from .. import files
from ..errors import RestorekitError
from .plan import PRIVATE, Job
from .records import BEGUN, DONE, FAILED, NOTHING, Fact, Row, Told, fact, rows_of, size_of

Shard = tuple[int, int]


class Manifest:
    """The record of an output folder.

    In `OUTPUT/.restorekit` every shard, I of N, has a file of its own, I-of-N.jsonl, to which it
    alone appends; all of them are read. A photo's last row counts; a line that a kill has torn or
    that is no row does not.

    Args:
        folder: the output folder.
        task: that works there. What another one has written there is not its own.
    """

    def __init__(self, folder: Path, task: str = "") -> None:
        self.folder = folder
        self.task = task
        self.private = folder / PRIVATE
        self.writing = threading.Lock()
        self.asides = itertools.count()
        self.read()

    def read(self) -> None:
        """Takes in what all runs so far have recorded."""
        everything = [row for file in self.private.glob("*.jsonl") for row in rows_of(file)]
        self.rows = {row.name: row for row in sorted(everything, key=lambda row: row.at)}

    @contextlib.contextmanager
    def opened(self, shard: Shard = (1, 1)) -> Iterator[Manifest]:
        """Alone to work on a shard's photos, and to write about them.

        Raises:
            RestorekitError: if another run works on photos of it, or the folder is read-only.
        """
        own = "{}-of-{}".format(*shard)
        self.scratch = self.private / f"{own}.part"  # of files being written
        try:
            self.private.mkdir(parents=True, exist_ok=True)
            lock = claim(self.private, shard)
            self.read()  # what others have done since
            for scratch in [self.scratch, *abandoned(self.private)]:
                shutil.rmtree(scratch, ignore_errors=True)  # what a killed run has left
            self.scratch.mkdir()
            path = self.private / f"{own}.jsonl"
            self.file = files.appended(path)
            self.torn = not files.read(path).endswith(b"\n") and path.stat().st_size > 0
        except OSError as error:
            raise RestorekitError(
                f"{self.folder}: cannot be written ({error.strerror}); choose another folder"
            ) from error
        try:
            yield self
        finally:
            self.file.close()
            shutil.rmtree(self.scratch, ignore_errors=True)
            lock.release()

    @contextlib.contextmanager
    def aside(self) -> Iterator[Path]:
        """A folder for files that are not whole yet."""
        folder = self.scratch / str(next(self.asides))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def finished(self, job: Job, key: str, thorough: bool = False) -> bool:
        """Whether its outputs are there, whole, made from the same photo in the same way.

        Args:
            thorough: compare what is in them with the record, and not their sizes alone.
        """
        row = self.rows.get(job.name)
        if row is None or row.state != DONE or row.key != key:
            return False
        for path in row.written:
            known, there = row.outputs.get(path), self.folder / path
            if known is None or size_of(there) != known.bytes:
                return False
            if thorough and not known.fits(there):
                return False
        return True

    def failed(self, job: Job) -> bool:
        """Whether it failed the last time."""
        row = self.rows.get(job.name)
        return row is not None and row.state == FAILED

    def owns(self, job: Job, target: Path) -> bool:
        """Whether a file that is there is a run's own output, which may be replaced.

        It is if it is to the bit what a run of the same task wrote or was about to write, of the
        same photo: another folder's of the same name is another photo.
        """
        row = self._own(job)
        return row is not None and any(f.fits(target) for f in row.facts(self._within(target)))

    def begin(self, job: Job, key: str, parts: Mapping[Path, Path]) -> None:
        """To be called before files get their names: what is to get which, {target: file}."""
        writing = {self._within(target): fact(part) for target, part in parts.items()}
        self._append(job, BEGUN, key=key, writing=writing)

    def done(self, job: Job, key: str, written: Sequence[Path], told: Told = NOTHING) -> None:
        """To be called when they have them.

        Args:
            told: of the photo, for whoever reads the record.
        """
        within = [self._within(path) for path in written]
        self._append(job, DONE, key=key, written=within, told=told)

    def fail(self, job: Job, reason: str) -> None:
        """Keeps what it had written till then, and the row of another photo of the same name."""
        row = self.rows.get(job.name)
        if row is None or row.source == source_of(job):
            self._append(job, FAILED, reason=reason)

    def _own(self, job: Job) -> Row | None:
        """The photo's row, if it is of the same photo and task."""
        row = self.rows.get(job.name)
        if row is None or row.source != source_of(job) or row.task not in ("", self.task):
            return None
        return row

    def _settled(self, job: Job) -> dict[str, Fact]:
        """All that was written for a photo, with what of the last files begun is there by now."""
        row = self._own(job)
        if row is None:
            return {}
        there = {path: f for path, f in row.begun.items() if f.fits(self.folder / path)}
        return {**row.outputs, **there}

    def _within(self, target: Path) -> str:
        return target.relative_to(self.folder).as_posix()

    def _append(self, job: Job, state: Any, **more: Any) -> None:
        with self.writing:
            # Later than what is known of it, so that a clock that is behind loses nothing.
            last = self.rows.get(job.name)
            at = time.time() if last is None else max(time.time(), last.at + 1e-3)
            outputs = self._settled(job)
            row = Row(job.name, at, state, source_of(job), task=self.task, outputs=outputs, **more)
            line = ("\n" * self.torn + json.dumps(msgspec.to_builtins(row)) + "\n").encode()
            self.torn = True
            try:
                while line:
                    line = line[self.file.write(line) :]
                os.fsync(self.file.fileno())
            except OSError as error:
                raise RestorekitError(
                    f"{self.folder}: the record of the run cannot be written ({error.strerror}); "
                    "free some space and run again"
                ) from error
            self.torn = False
            self.rows[job.name] = row


def claim(private: Path, shard: Shard) -> FileLock:
    """The lock of a shard, where no other run has taken one with photos in common.

    Raises:
        RestorekitError: if one has.
    """
    mine = FileLock(private / "{}-of-{}.lock".format(*shard))
    try:
        with FileLock(private / "claim"):  # one looks at a time
            mine.acquire(timeout=0)
            for path in private.glob("*-of-*.lock"):
                numbers = re.fullmatch(r"(\d{1,9})-of-(\d{1,9})", path.stem)
                if numbers is None:  # not ours
                    continue
                theirs = int(numbers[1]), int(numbers[2])
                if theirs != shard and overlap(shard, theirs):
                    with FileLock(path).acquire(timeout=0):
                        pass  # nobody holds it
    except Timeout as error:
        mine.release()
        raise RestorekitError(
            f"{private.parent}: another run is working there; wait for it, or choose another folder"
        ) from error
    return mine


def abandoned(private: Path) -> Iterator[Path]:
    """The folders of files being written that no living run has: of shards that were killed."""
    for scratch in private.glob("*-of-*.part"):
        with (
            contextlib.suppress(Timeout, OSError),
            FileLock(scratch.with_suffix(".lock")).acquire(timeout=0),
        ):
            yield scratch


def overlap(a: Shard, b: Shard) -> bool:
    """Whether two shards may have photos in common."""
    return a[1] != b[1] or a[0] == b[0]


def source_of(job: Job) -> str:
    """Which file it is, wherever the command is given."""
    return str(job.source.absolute()) if job.source else ""
