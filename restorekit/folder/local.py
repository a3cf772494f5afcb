"""A run in this process: decoding, restoring and encoding at the same time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from .. import images
from .plan import Job
from .run import Runner
from .work import HELD_MEGAPIXELS, Loaded, Outcome, Restored, attempt

INTERRUPTED = 130  # exit code
AHEAD = 2  # photos decoded before their turn, and as many waiting to be encoded


def run(runner: Runner, jobs: Sequence[Job]) -> Generator[Outcome]:
    """Restores every job, in order.

    While one photo is restored the next are decoded and the last ones encoded.
    """

    def load(job: Job) -> Loaded | Outcome:
        opened = runner.open(job)
        return opened if isinstance(opened, Outcome) else runner.shop.read(opened)

    def finish(job: Job, restored: Restored | Outcome) -> Outcome:
        if isinstance(restored, Outcome):
            return restored
        scratch = runner.manifest.scratch if runner.manifest else None
        return runner.recorded(restored.loaded, lambda: runner.shop.write(restored, scratch))

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
                    if coming and held + size > HELD_MEGAPIXELS:
                        break
                    job = waiting.popleft()
                    coming.append((job, size, reader.submit(attempt, load, job)))
                job, size, future = coming.popleft()
                loaded = future.result()
                if isinstance(loaded, Loaded):
                    loaded = attempt(runner.shop.restore, job, loaded)
                going.append((size, writer.submit(attempt, finish, job, loaded)))
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
