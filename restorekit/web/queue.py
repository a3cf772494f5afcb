"""One worker for all that computes, so that the processor is never shared out among many."""

from __future__ import annotations

import enum
import itertools
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import plugins
from ..errors import RestorekitError
from ..guard import reason

if TYPE_CHECKING:
    from .work import Made

REMEMBERED = 40  # finished previews, and as many others, whose results can still be looked at


class Rank(enum.IntEnum):
    """Who goes first: what somebody waits for."""

    PREVIEW = 0
    PHOTO = 1
    FOLDER = 2


class Stopped(BaseException):
    """A folder's run is to end, as by Ctrl-C."""


@dataclass(eq=False)
class Job:
    """Something to compute.

    Attributes:
        rank: a running job gives way to waiting ones of a lower rank at every evaluation.
        work: does it, and returns what the page is told.
        tab: of the page that asked.
        state: waiting, running, done, failed or cancelled.
        done, total: how far it is: steps of the sampler and fractions of them, or photos.
        result: what `work` returned.
        picture: what it has made for the page to fetch, encoded.
        made: the files that it has made.
        failure: why it failed.
        forgotten: called once nobody can ask for the result any more.
    """

    rank: Rank
    work: Callable[[Job], dict[str, Any]]
    tab: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = "waiting"
    done: float = 0.0
    total: int = 0
    result: dict[str, Any] = field(default_factory=dict)
    picture: bytes = b""
    made: Sequence[Made] = ()
    failure: str = ""
    stopping: bool = False
    forgotten: Callable[[], None] = lambda: None
    queue: Queue | None = None

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    def progress(self, done: float, total: int) -> bool:
        """The sampler's callback: lets more urgent jobs pass; False, once it is to stop."""
        self.done, self.total = done, total
        if self.queue is not None:
            self.queue.give_way(self)
        return not self.stopping

    def shown(self) -> dict[str, Any]:
        """Ready for JSON."""
        names = ("id", "state", "done", "total", "result", "failure")
        return {name: getattr(self, name) for name in names}


class Queue:
    """Jobs, of which one runs at a time, the more urgent first; of equals the older.

    Args:
        started: called first in the worker's thread, for what takes long to import.
    """

    def __init__(self, started: Callable[[], None] = lambda: None) -> None:
        self.changed = threading.Condition()
        self.waiting: list[tuple[Rank, int, Job]] = []
        self.jobs: dict[str, Job] = {}
        self.numbers = itertools.count()
        self.closed = False
        self.started = started
        self.worker = threading.Thread(target=self._work, name="restorekit-web", daemon=True)

    def start(self) -> None:
        """From now on what is submitted is done."""
        self.worker.start()

    def submit(self, job: Job) -> Job:
        """Puts a job in the queue; a preview takes the place of the tab's earlier ones."""
        with self.changed:
            if job.rank == Rank.PREVIEW:
                for other in self.jobs.values():
                    if other.rank == Rank.PREVIEW and other.tab == job.tab and not other.over:
                        self._cancel(other)
            job.queue = self
            self.jobs[job.id] = job
            self.waiting.append((job.rank, next(self.numbers), job))
            self._forget()
            self.changed.notify_all()
        return job

    def find(self, key: str) -> Job:
        """Raises RestorekitError for a job that is not known, or no more."""
        job = self.jobs.get(key)
        if job is None:
            raise RestorekitError("this result is gone; restore the photo again")
        return job

    def cancel(self, job: Job) -> None:
        """Ends a job before its next evaluation, or before it began."""
        with self.changed:
            self._cancel(job)
            self.changed.notify_all()

    def close(self) -> None:
        """Cancels everything, and waits for the job that runs to notice."""
        with self.changed:
            self.closed = True
            for job in self.jobs.values():
                self._cancel(job)
            self.changed.notify_all()
        if self.worker.is_alive():
            self.worker.join(timeout=30)
        for job in self.jobs.values():
            job.forgotten()

    def give_way(self, running: Job) -> None:
        """Does in between what is more urgent than a running job, if this is its thread."""
        if threading.current_thread() is self.worker:
            while (job := self._next(running.rank)) is not None:
                self._run(job)

    def _cancel(self, job: Job) -> None:
        job.stopping = True
        if job.state == "waiting":
            job.state = "cancelled"

    def _forget(self) -> None:
        over = [job for job in self.jobs.values() if job.over]
        previews = [job for job in over if job.rank == Rank.PREVIEW]
        others = [job for job in over if job.rank != Rank.PREVIEW]  # which previews do not push out
        for jobs in (previews, others):
            for job in jobs[: max(len(jobs) - REMEMBERED, 0)]:
                del self.jobs[job.id]
                job.forgotten()

    def _next(self, below: int) -> Job | None:
        with self.changed:
            self.waiting = [entry for entry in self.waiting if entry[2].state == "waiting"]
            first = min(self.waiting, key=lambda entry: entry[:2], default=None)
            if first is None or first[0] >= below:
                return None
            self.waiting.remove(first)
            first[2].state = "running"
            return first[2]

    def _work(self) -> None:
        self.started()
        while not self.closed:
            job = self._next(len(Rank))
            if job is not None:
                self._run(job)
                continue
            with self.changed:
                if not self.waiting and not self.closed:
                    self.changed.wait()

    def _run(self, job: Job) -> None:
        from ..engine.sampler import Cancelled

        try:
            job.result = job.work(job)
            state = "done"
        except (Cancelled, Stopped):
            state = "cancelled"
        except RestorekitError as error:
            state, job.failure = "failed", str(error)
        except (Exception, SystemExit) as error:  # a plugin's, say: the next job is still wanted
            blamed = plugins.registry().blamed(error)
            state, job.failure = "failed", blamed or f"internal error: {reason(error)}"
        with self.changed:
            job.state = state
