"""What a run's workers on other machines are told, and what they do."""

from __future__ import annotations

import dataclasses
import platform
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from .. import plugins
from ..errors import RestorekitError
from ..restorer import Choices, Restorer
from ..task import Task
from .plan import Job
from .work import Files, Loaded, Outcome, Workshop, attempt


@dataclass(frozen=True)
class Order:
    """What all workers of a run have in common.

    The version of restorekit and the hash of the weights are those of the process that plans
    the run: with other ones a worker would make other pixels.
    """

    task: str
    choices: Choices
    options: dict[str, Any]
    files: Files
    weights: str
    version: str


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
        restorer = Restorer(plugins.registry().task(order.task), order.choices, order.options)
        if (version("restorekit"), restorer.weights) != (order.version, order.weights):
            raise RestorekitError(
                f"{platform.node()}: has another restorekit or another prior; "
                "install the same on all machines"
            )
        self.shop = Workshop(restorer, order.options, order.files)

    def work(self, loaded: Loaded) -> Outcome:
        """Restores a photo from file to file."""
        outcome: Outcome = attempt(self._restored, loaded.job, loaded)
        return dataclasses.replace(outcome, error=None)  # which might not travel

    def _restored(self, job: Job, loaded: Loaded) -> Outcome:
        loaded = self.shop.read(loaded)
        with self.turn:  # meanwhile the next photo is decoded and the last one encoded
            restored = self.shop.restore(job, loaded)
        return self.shop.write(restored)


def order_for(shop: Workshop, choices: Choices) -> Order:
    """A run's, with absolute paths, as every worker has a working folder of its own."""
    restorer = shop.restorer
    prior = restorer.prior_name
    if prior not in plugins.registry().offered("prior"):
        prior = str(restorer.prior_file.absolute())
    return Order(
        restorer.task.name,
        dataclasses.replace(choices, prior=prior),
        absolute(restorer.task, shop.options),
        shop.files,
        restorer.weights,
        version("restorekit"),
    )


def absolute(task: Task, options: Mapping[str, Any]) -> dict[str, Any]:
    """A task's options, with absolute paths where they are paths."""

    def path(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(map(path, value))
        return value if value is None else type(value)(Path(value).absolute())

    paths = {option.name for option in task.options if isinstance(option.type, click.Path)}
    return {name: path(v) if name in paths else v for name, v in options.items()}
