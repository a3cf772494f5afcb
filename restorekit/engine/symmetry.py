"""What a picture's answer should do when the picture is turned: turn with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from .denoiser import Denoiser, Prediction
from .wrappers import Wrapper


@dataclass(frozen=True)
class Motion:
    """A mirror image, left for right, or not, and then quarter turns of it."""

    flipped: bool = False
    turns: int = 0

    def __call__(self, x: Tensor) -> Tensor:
        x = x.flip(-1) if self.flipped else x
        return x.rot90(self.turns, (-2, -1)) if self.turns else x

    def back(self, x: Tensor) -> Tensor:
        """The inverse."""
        x = x.rot90(-self.turns, (-2, -1)) if self.turns else x
        return x.flip(-1) if self.flipped else x


MIRROR = Motion(), Motion(flipped=True)
# All eight of a square, those that differ most next to each other.
SQUARE = tuple(Motion(flipped, turns) for turns in (0, 2, 1, 3) for flipped in (False, True))


class _Moved(Wrapper):
    """Args:
    motions: what the denoiser has learned to be indifferent to.
    moved: the denoiser for pictures moved so, if that is not the same for all.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        motions: Sequence[Motion] = SQUARE,
        moved: Callable[[Motion], Denoiser] | None = None,
    ) -> None:
        super().__init__(denoiser)
        self.motions = motions
        self.moved = {motion: moved(motion) if moved else denoiser for motion in motions}

    def _asked(self, motion: Motion, x_t: Tensor, t: Tensor) -> Prediction:
        p = self.moved[motion](motion(x_t), motion(t) if t.ndim == 4 else t)
        fraction = p.variance_fraction
        return Prediction(motion.back(p.x_0), None if fraction is None else motion.back(fraction))


class Ensemble(_Moved):
    """Self-ensemble: the mean answer over the motions of the picture.

    Averaging takes out the part of a network's error that does not turn with the picture (Timofte
    et al. 2016, "Seven ways to improve example-based single image super resolution"). Costs as
    many evaluations as there are motions.
    """

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        answers = (self._asked(motion, x_t, t) for motion in self.motions)
        total = next(answers)
        x_0, fraction = total.x_0.clone(), total.variance_fraction
        for p in answers:
            x_0 += p.x_0
            if fraction is not None and p.variance_fraction is not None:
                fraction = fraction + p.variance_fraction
        count = len(self.motions)
        return Prediction(x_0 / count, None if fraction is None else fraction / count)


class Turning(_Moved):
    """Asks about another motion of the picture each time, beginning with the picture as it is.

    Over the steps of a sampler this takes out what an ensemble takes out, for nothing (Terris et
    al. 2024, "Equivariant plug-and-play image reconstruction").
    """

    asked = 0  # questions so far

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        motion = self.motions[self.asked % len(self.motions)]
        self.asked += 1
        return self._asked(motion, x_t, t)
