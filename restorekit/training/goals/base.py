"""The interface between the training loop and what is learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

if TYPE_CHECKING:
    from ..data import Photos
    from ..run import Checkpoint, Run
    from ..settings import Settings


class Part(NamedTuple):
    """The part of a step that a process has.

    Attributes:
        step: its number, which everything random in it follows from.
        share: the numbers of the crops within the whole batch.
    """

    step: int
    share: range

    @property
    def mine(self) -> slice:
        """The same, of a tensor with the whole batch's rows."""
        return slice(self.share.start, self.share.stop)


class Goal(ABC):
    """What a run learns: a network with a `stem` and a `head`, from what, and how it is judged.

    Attributes:
        stem: of the names of the files that a run ends with.
        judged: the name of a score that every validation has.
        marks: what else than photos is drawn with, by a digest; None where nothing is.
    """

    stem: str
    judged: str
    marks: str | None = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def network(self) -> nn.Module:
        """A new one, of random weights."""

    @abstractmethod
    def begin_with(self, network: nn.Module, init: str | Path) -> str:
        """Gives a network the weights of another run, file or name; returns what they are called.

        Raises:
            RestorekitError: if they are of another making.
        """

    @abstractmethod
    def photos(self, folder: Path, cache: Path, **how: Any) -> Photos:
        """The photos that crops are cut from; see `Photos` for `how`."""

    @abstractmethod
    def batches(self, photos: Photos, step: int, share: range, pinned: bool) -> Iterator[Any]:
        """What each step from one on learns from, made ahead on the CPU.

        Args:
            share: see `Part`.
            pinned: in memory that a GPU can fetch while it computes.
        """

    @abstractmethod
    def given(self, network: nn.Module, batch: Any, part: Part, device: str) -> tuple[Tensor, ...]:
        """A batch on its device, in tensors of a row for each crop.

        Args:
            network: as it is, for what it learns from itself; the same in every process.
        """

    @abstractmethod
    def loss(self, network: nn.Module, *given: Tensor) -> Tensor:
        """The sum over some rows of what `given` gave, or their number times their mean."""

    @abstractmethod
    def scores(
        self, network: nn.Module, photos: Photos, device: str, picture: Path
    ) -> dict[str, float]:
        """How good a network is on held-out photos; and draws what it does.

        Args:
            picture: a path to draw at, or beside.
        """

    @abstractmethod
    def export(self, run: Run, saved: Checkpoint, name: str) -> None:
        """Writes the averaged weights of a checkpoint, and their card.

        Raises:
            RestorekitError: if they are not of the run's settings.
        """
