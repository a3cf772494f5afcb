"""A run on a Ray cluster: photos travel as names of files; pixels stay with those who make them.

All machines see the inputs, the outputs and the prior under the same absolute paths.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import images
from ..errors import RestorekitError
from .plan import Job
from .run import Runner
from .share import Share, share
from .work import HELD_MEGAPIXELS, Loaded, Outcome, attempt
from .worker import Order, Worker, order_for

IN_HAND = 3  # photos of a worker: one is decoded, one restored, one encoded
PATIENCE = 30.0  # seconds without a worker until the user is told
log = logging.getLogger(__name__)


@contextlib.contextmanager
def connected() -> Iterator[Any]:
    """Ray, connected to the cluster that runs here or that RAY_ADDRESS names.

    Raises:
        RestorekitError: if Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise RestorekitError(
            "--engine ray needs Ray, which is not installed; pip install 'restorekit[ray]'"
        ) from error
    if ray.is_initialized():  # the caller's connection
        yield ray
        return
    try:
        ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]
        raise RestorekitError(
            f"no Ray cluster can be reached ({reason}); start one with `ray start --head`, "
            "or name one in RAY_ADDRESS"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class Sent:
    """A job in a worker's hands, which writes its pictures into a folder of its own."""

    loaded: Loaded
    folder: Path
    megapixels: float

    def travelling(self) -> Loaded:
        """As the worker has it: with absolute paths, and its pictures in the folder."""
        job = self.loaded.job
        job = dataclasses.replace(
            job,
            source=job.source and job.source.absolute(),
            target=job.target.absolute(),
        )
        return dataclasses.replace(self.loaded.within(self.folder), job=job)


@dataclass(eq=False)
class Hired:
    """A worker as the driver sees it: what it has in hand by Ray's references, oldest first."""

    actor: Any
    ready: bool = False
    hand: dict[Any, Sent] = field(default_factory=dict)

    def can_take(self, megapixels: float) -> bool:
        held = sum(sent.megapixels for sent in self.hand.values())
        few = len(self.hand) < IN_HAND and held + megapixels <= HELD_MEGAPIXELS
        return self.ready and (few or not self.hand)


class Crew:
    """The workers of a run, and what is still to be done.

    A worker that dies is replaced. The photo that it had for longest is taken for the cause and
    fails; the others in its hands are restored by somebody else, so that each death costs one.
    """

    def __init__(self, ray: Any, runner: Runner, order: Order, fit: Share) -> None:
        self.ray = ray
        self.runner = runner
        self.fit = fit
        self.order = ray.put(order)
        self.actors = ray.remote(Worker).options(
            num_cpus=fit.cpus,
            num_gpus=fit.gpus,
            max_concurrency=IN_HAND,
            max_restarts=0,
            scheduling_strategy="SPREAD",
        )
        self.hired: list[Hired] = []
        self.calls: dict[Any, Hired] = {}  # whose every reference is
        self.folders = map(str, itertools.count())

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome]:
        """Restores every job, and tells of each as soon as it is done."""
        self.waiting = deque(jobs)
        while self.waiting or any(worker.hand for worker in self.hired):
            if not self.waiting:
                yield from self._next()
                continue
            job = self.waiting.popleft()
            loaded = attempt(self.runner.open, job)
            if isinstance(loaded, Outcome):
                yield loaded
                continue
            size = images.megapixels(job.source) if job.source else 0.0
            while not (free := [worker for worker in self.hired if worker.can_take(size)]):
                if not self.hired:
                    for _ in range(min(self.fit.workers, len(self.waiting) + 1)):
                        self._hire()
                yield from self._next()
            self._send(min(free, key=lambda worker: len(worker.hand)), loaded, size)

    def dismiss(self) -> None:
        """Ends all workers, whatever they have in hand."""
        for worker in self.hired:
            self.ray.kill(worker.actor)

    def _hire(self) -> None:
        worker = Hired(self.actors.remote(self.order, self.fit.cpus))
        self.hired.append(worker)
        self.calls[worker.actor.start.remote()] = worker

    def _send(self, worker: Hired, loaded: Loaded, megapixels: float) -> None:
        assert self.runner.manifest is not None
        scratch = self.runner.manifest.scratch.absolute()
        sent = Sent(loaded, scratch / next(self.folders), megapixels)
        call = worker.actor.work.remote(sent.travelling())
        self.calls[call], worker.hand[call] = worker, sent

    def _next(self) -> Iterator[Outcome]:
        """Waits until something has happened, and says what has become of photos by it."""
        while not (done := self.ray.wait([*self.calls], timeout=PATIENCE)[0]):
            if not any(worker.ready for worker in self.hired):
                log.warning("waiting for the cluster, which has no room for a worker yet")
        worker = self.calls[done[0]]
        if not worker.ready:
            self._started(worker, done[0])
        else:
            yield from self._received(worker, done[0])

    def _started(self, worker: Hired, call: Any) -> None:
        del self.calls[call]
        try:
            self.ray.get(call)
            worker.ready = True
        except self.ray.exceptions.RayError as error:
            self.hired.remove(worker)
            reason = getattr(error, "cause", None) or last_line(error)
            if not self.hired:
                raise RestorekitError(f"no worker could start: {reason}") from error
            log.warning("a worker could not start: %s", reason)

    def _received(self, worker: Hired, call: Any) -> Iterator[Outcome]:
        try:
            outcome = self._settled(worker.hand[call], call)
        except self.ray.exceptions.RayError as error:
            log.debug("a worker died: %s", error)
            yield from self._replaced(worker)
        else:
            del self.calls[call], worker.hand[call]
            yield outcome

    def _settled(self, sent: Sent, call: Any) -> Outcome:
        """What became of a photo. Raises RayError if its worker is dead."""
        job = sent.loaded.job
        try:
            outcome = self.ray.get(call)
        except self.ray.exceptions.RayTaskError as error:  # it lives, but its answer did not
            return Outcome(job, failure=f"{job.name}: internal error: {last_line(error)}")
        if outcome.failure:
            return dataclasses.replace(outcome, job=job)
        settled: Outcome = attempt(self._placed, job, sent, outcome)
        return settled

    def _placed(self, job: Job, sent: Sent, outcome: Outcome) -> Outcome:
        placed = self.runner.published(sent.loaded, outcome)
        with contextlib.suppress(OSError):
            sent.folder.rmdir()
        return placed

    def _replaced(self, worker: Hired) -> Iterator[Outcome]:
        """Hires another one, and says what has become of the photos that the dead one had."""
        self.ray.kill(worker.actor)  # it may be out of reach alone
        self.hired.remove(worker)
        self._hire()
        lost = []
        for call, sent in worker.hand.items():
            del self.calls[call]
            try:
                yield self._settled(sent, call)  # it may have been done
            except self.ray.exceptions.RayError:
                lost.append(sent.loaded.job)
        blamed, *others = lost
        self.waiting.extendleft(reversed(others))
        yield Outcome(
            blamed,
            failure=f"{blamed.source}: its worker died (killed, or out of memory); "
            "use --retry-failed, with a smaller --tile or fewer --workers",
        )


def last_line(error: BaseException) -> str:
    """What a remote error comes down to."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


@dataclass(frozen=True)
class Cluster:
    """The engine: workers on the Ray cluster that runs here or that RAY_ADDRESS names.

    Attributes:
        device: the workers'.
        workers: how many; by default as many as the cluster has room for.

    Raises:
        RestorekitError: if there is no such cluster, no room on it, or no worker can start.
    """

    device: str
    workers: int | None = None

    def __call__(self, runner: Runner, jobs: Sequence[Job], /) -> Generator[Outcome]:
        device = self.device
        if device.startswith("cuda:"):
            raise RestorekitError(
                f"--device {device} is one machine's; use --device cuda, and Ray gives each "
                "worker a card"
            )
        with connected() as ray:
            machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            fit = share(machines, device, self.workers)
            if device == "auto":
                device = "cuda" if fit.gpus else "cpu"
            order = order_for(runner.shop, device)
            crew = Crew(ray, runner, order, fit)
            try:
                yield from crew.run(jobs)
            finally:
                crew.dismiss()
