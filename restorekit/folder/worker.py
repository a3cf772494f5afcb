"""What a run's workers on other machines are told, and what they do."""

from __future__ import annotations

import dataclasses
import platform
import threading
from dataclasses import dataclass
from typing import Any

from ..errors import RestorekitError
from .plan import Job
from .work import Files, Loaded, Outcome, Spec, Workshop, attempt


@dataclass(frozen=True)
class Order:
    """What all workers of a run have in common.

    Attributes:
        settings: of the process that plans the run, versions and weights among them, which the
            record tells: with other ones a worker would make other pixels.
    """

    plan: Spec
    files: Files
    settings: Any


class Worker:
    """A workshop that starts and works when told to, on several photos at the same time.

    Args:
        threads: that restoring may take.
    """

    def __init__(self, order: Order, threads: int) -> None:
        self.order = order
        self.threads = threads
        self.turn = threading.Lock()

    def start(self) -> None:
        """Loads the model.

        Raises:
            RestorekitError: if it cannot be loaded, or this machine would make other pixels.
        """
        import torch

        torch.set_num_threads(self.threads)
        order = self.order
        restoring = order.plan.opened()
        if restoring.settings != order.settings:
            raise RestorekitError(
                f"{platform.node()}: would make other pixels: it has another restorekit, plugin or "
                "prior, or takes --precision auto for another; install the same on all machines, "
                "and say the precision"
            )
        self.shop = Workshop(restoring, order.files)

    def work(self, loaded: Loaded) -> Outcome:
        """Restores a photo from file to file."""
        outcome: Outcome = attempt(self._restored, loaded.job, loaded)
        return dataclasses.replace(outcome, error=None)  # which might not travel

    def _restored(self, job: Job, loaded: Loaded) -> Outcome:
        loaded = self.shop.read(loaded)
        with self.turn:  # meanwhile the next photo is decoded and the last one encoded
            restored = self.shop.restore(job, loaded)
        return self.shop.write(restored)


def order_for(shop: Workshop, device: str) -> Order:
    """A run's, with absolute paths, as every worker has a working folder of its own."""
    return Order(
        shop.restoring.plan.on(device).absolute(),
        shop.files,
        shop.restoring.settings,
    )
