"""A run in this process: decoding, restoring and encoding at the same time."""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from .. import files, images
from ..errors import RestorekitError
from .plan import Job
from .run import Runner
from .work import HELD_MEGAPIXELS, Loaded, Outcome, Restored, attempt

INTERRUPTED = 130  # exit code
AHEAD = 2  # photos decoded before their turn, and as many waiting to be encoded


class Here(Executor):
    """Does at once, in the calling thread, what it is given."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def run(runner: Runner, jobs: Sequence[Job]) -> Generator[Outcome]:
    """Restores every job, in order.

    While one photo is restored the next are decoded and the last ones encoded. A GPU restores
    several at once, whose tiles share batches; a CPU one, in this thread, which Ctrl-C can stop.
    """

    def load(job: Job) -> Loaded | Outcome:
        opened = runner.open(job)
        return opened if isinstance(opened, Outcome) else runner.shop.read(opened)

    def finish(job: Job, restored: Restored | Outcome) -> Outcome:
        if isinstance(restored, Outcome):
            return restored
        if runner.manifest is None:
            return runner.shop.write(restored)
        loaded = restored.loaded
        with runner.manifest.aside() as folder:  # until they are whole
            aside = dataclasses.replace(restored, loaded=loaded.within(folder))
            try:
                outcome = runner.shop.write(aside)
            except RestorekitError as error:
                raise RestorekitError(renamed(str(error), aside.loaded, loaded)) from error
            return runner.published(loaded, outcome)

    def restore(job: Job, loaded: Loaded | Outcome) -> Restored | Outcome:
        if isinstance(loaded, Outcome):
            return loaded
        restored: Restored | Outcome = attempt(runner.shop.restore, job, loaded)
        return restored

    at_once = runner.shop.restoring.at_once
    restorers = Here() if at_once == 1 else ThreadPoolExecutor(at_once)
    with ThreadPoolExecutor(1) as reader, restorers, ThreadPoolExecutor(1) as writer:
        waiting = deque(jobs)
        coming: deque[tuple[Job, float, Future[Loaded | Outcome]]] = deque()
        here: deque[tuple[Job, float, Future[Restored | Outcome]]] = deque()
        going: deque[tuple[float, Future[Outcome]]] = deque()
        try:
            while waiting or coming or here:
                while waiting and len(coming) <= AHEAD:
                    source = waiting[0].source
                    size = images.megapixels(source) if source else 0.0
                    held = sum(c[1] for c in [*coming, *here]) + sum(g[0] for g in going)
                    if (coming or here) and held + size > HELD_MEGAPIXELS:
                        break
                    job = waiting.popleft()
                    coming.append((job, size, reader.submit(attempt, load, job)))
                while coming and len(here) < at_once:
                    job, size, decoded = coming.popleft()
                    here.append((job, size, restorers.submit(restore, job, decoded.result())))
                job, size, future = here.popleft()
                restored = future.result()
                if isinstance(restored, Restored):
                    size = max(size, restored.megapixels)
                going.append((size, writer.submit(attempt, finish, job, restored)))
                while going and (going[0][1].done() or len(going) > AHEAD or size > 16):
                    yield going.popleft()[1].result()
            while going:
                yield going.popleft()[1].result()
        except BaseException as error:
            # The first Ctrl-C finishes what is being written, a second one drops it too.
            runner.shop.stopping.set()
            reader.shutdown(wait=False, cancel_futures=True)
            try:
                restorers.shutdown(cancel_futures=True)
                writer.shutdown(cancel_futures=True)
            except KeyboardInterrupt:
                files.abandon()
                os._exit(INTERRUPTED)  # a thread that is encoding cannot be stopped
            raise error


def renamed(message: str, aside: Loaded, loaded: Loaded) -> str:
    """A message about a file that was to become another, about that one."""
    for part, target in zip(aside.targets, loaded.targets, strict=True):
        message = message.replace(str(part), str(target)) if part else message
    return message
