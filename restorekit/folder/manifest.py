"""What a folder run has done, so that the next one goes on: JSON lines in the output folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .. import files
from ..errors import RestorekitError
from .plan import PRIVATE, Job

BEGUN, DONE, FAILED = "begun", "done", "failed"
Shard = tuple[int, int]


class Manifest:
    """The record of an output folder.

    In `OUTPUT/.restorekit` every shard, I of N, has a file of its own, I-of-N.jsonl, to which it
    alone appends; all of them are read. A row has a photo's name and source, when and in which
    state it was (begun, done or failed), and its key. `writing` are the files that it had begun
    to write, `written` those that it has; `outputs` are size and hash of all that it ever wrote;
    `reason` is why it failed. A photo's last row counts; a line that a kill has torn does not.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.private = folder / PRIVATE
        self.writing = threading.Lock()
        self.read()

    def read(self) -> None:
        """Takes in what all runs so far have recorded."""
        everything = [row for file in self.private.glob("*.jsonl") for row in rows_of(file)]
        self.rows = {row["name"]: row for row in sorted(everything, key=lambda row: row["at"])}

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
            shutil.rmtree(self.scratch, ignore_errors=True)  # what a killed run has left
            self.scratch.mkdir()
            path = self.private / f"{own}.jsonl"
            self.torn = path.exists() and not path.read_bytes().endswith(b"\n")
            self.file = open(path, "ab", buffering=0)  # noqa: SIM115 - open for the whole run
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

    def finished(self, job: Job, key: str) -> bool:
        """Whether its outputs are there, whole, made from the same photo in the same way."""
        row = self.rows.get(job.name)
        return (
            row is not None
            and row["state"] == DONE
            and row["key"] == key
            and all(
                size_of(self.folder / path) == row["outputs"][path]["bytes"]
                for path in row["written"]
            )
        )

    def failed(self, job: Job) -> bool:
        """Whether it failed the last time."""
        return self.rows.get(job.name, {}).get("state") == FAILED

    def owns(self, job: Job, target: Path) -> bool:
        """Whether a file that is there is a run's own output, which may be replaced.

        It is if nobody has changed it since, or if it was just being written; and if it was made
        of the same file: another folder's photo of the same name is another photo.
        """
        row, path = self.rows.get(job.name), self._within(target)
        if row is None or row.get("source") != source_of(job):
            return False
        if row["state"] == BEGUN and path in row["writing"]:
            return True  # half written, it may be
        return path in row["outputs"] and row["outputs"][path]["sha256"] == digest(target)

    def begin(self, job: Job, key: str, targets: Sequence[Path]) -> None:
        """To be called before anything is written."""
        self._append(job, BEGUN, key=key, writing=[self._within(p) for p in targets])

    def done(self, job: Job, key: str, written: Sequence[Path]) -> None:
        outputs = self._facts(written)
        self._append(job, DONE, outputs, key=key, written=list(outputs))

    def fail(self, job: Job, reason: str) -> None:
        """Keeps what it had written till then, and the row of another photo of the same name."""
        before = self.rows.get(job.name, {})
        if before.get("source", source_of(job)) != source_of(job):
            return
        begun = (self.folder / path for path in before.get("writing", ()))
        written = self._facts(path for path in begun if path.exists())
        self._append(job, FAILED, written, reason=reason)

    def _facts(self, paths: Iterable[Path]) -> dict[str, Any]:
        return {self._within(p): {"bytes": size_of(p), "sha256": digest(p)} for p in paths}

    def _within(self, target: Path) -> str:
        return target.relative_to(self.folder).as_posix()

    def _append(
        self, job: Job, state: str, outputs: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        source, before = source_of(job), self.rows.get(job.name, {})
        earlier = before["outputs"] if before.get("source") == source else {}  # still its own
        row = {"name": job.name, "source": source, "at": time.time(), "state": state, **more}
        row["outputs"] = {**earlier, **(outputs or {})}
        line = ("\n" * self.torn + json.dumps(row) + "\n").encode()
        with self.writing:
            try:
                self.torn = self.file.write(line) < len(line)
                os.fsync(self.file.fileno())
            except OSError as error:
                self.torn = True
                raise RestorekitError(
                    f"{self.folder}: the record of the run cannot be written ({error.strerror}); "
                    "free some space and run again"
                ) from error
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
                first, _, second = path.stem.partition("-of-")
                theirs = int(first), int(second)
                if theirs != shard and overlap(shard, theirs):
                    with FileLock(path).acquire(timeout=0):
                        pass  # nobody holds it
    except Timeout as error:
        mine.release()
        raise RestorekitError(
            f"{private.parent}: another run is working there; wait for it, or choose another folder"
        ) from error
    return mine


def overlap(a: Shard, b: Shard) -> bool:
    """Whether two shards may have photos in common."""
    return a[1] != b[1] or a[0] == b[0]


def rows_of(file: Path) -> Iterator[dict[str, Any]]:
    """The whole rows of a manifest file, in order even where the clock was set back."""
    latest = 0.0
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            row = json.loads(line)
            if {"name", "at", "state", "outputs"} <= set(row):
                row["at"] = latest = max(latest, row["at"])
                yield row


def source_of(job: Job) -> str:
    """Which file it is, wherever the command is given."""
    return str(job.source.absolute()) if job.source else ""


def size_of(path: Path) -> int | None:
    """Bytes of a file; None where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def digest(path: Path) -> str:
    """SHA-256 of a file's content; empty where it cannot be read."""
    sum_ = hashlib.sha256()
    try:
        with files.opened(path) as file:
            while block := file.read(1 << 20):
                sum_.update(block)
    except (RestorekitError, OSError):
        return ""
    return sum_.hexdigest()
