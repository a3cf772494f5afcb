"""Denoisers and progress that are looked on: how often one is asked, and how far it is."""

from __future__ import annotations

from collections import Counter

from torch import Tensor

from .engine.denoiser import Denoiser, Prediction
from .engine.sampler import Cancelled, Progress
from .engine.tiling import Tiled
from .engine.wrappers import Wrapper


class Watched:
    """A progress that moves within a step too, and never back."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.done, self.total, self.told = 0.0, 1, -1.0

    def __call__(self, done: float, total: int) -> bool | None:
        self.done, self.total = done, total
        return self._tell(done)

    def within(self, share: float) -> None:
        """A share of one of the step's evaluations is done. Raises Cancelled if told to stop."""
        if share < 1 and self._tell(self.done + share) is False:
            raise Cancelled

    def _tell(self, done: float) -> bool | None:
        if done <= self.told:
            return None
        self.told = done
        return self.progress(done, self.total)


class Counted(Wrapper):
    """A denoiser that counts its evaluations, of a whole picture or of a part of it."""

    def __init__(self, denoiser: Denoiser, tally: Counter[str] | None = None) -> None:
        super().__init__(denoiser)
        self.tally = Counter() if tally is None else tally

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        self.tally["evaluations"] += 1
        return self.denoiser(x_t, t)

    @property
    def evaluations(self) -> int:
        return self.tally["evaluations"]

    def where(self, needed: Tensor) -> Counted:
        """The same, evaluated where it is needed only, if it is one that may be."""
        inner = self.denoiser
        return Counted(inner.where(needed), self.tally) if isinstance(inner, Tiled) else self


def part_of(progress: Progress | None, before: int, after: int) -> Progress | None:
    """What tells of some steps among others, those before them and those that come after."""
    if progress is None:
        return None
    return lambda done, total: progress(before + done, before + total + after)
