"""The chain of a model: its betas, what its network predicts, and how its variance is learned."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

if TYPE_CHECKING:
    from restorekit.engine.schedule import Schedule

Betas = list[float]


def spaced(first: float, last: float, count: int) -> Betas:
    """In equal steps, both ends included."""
    return [first + (last - first) * i / (count - 1) for i in range(count)]


def linear(first: float, last: float, count: int) -> Betas:
    """DDPM, section 4."""
    return spaced(first, last, count)


def scaled_linear(first: float, last: float, count: int) -> Betas:
    """Whose square roots are in equal steps: latent diffusion."""
    return [root**2 for root in spaced(first**0.5, last**0.5, count)]


def cosine(first: float, last: float, count: int) -> Betas:
    """Improved DDPM eq. 17, at most 0.999."""

    def abar(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    return [min(1 - abar((i + 1) / count) / abar(i / count), 0.999) for i in range(count)]


def sigmoid(first: float, last: float, count: int) -> Betas:
    """GeoDiff: a sigmoid from -6 to 6 between both."""
    return [first + (last - first) / (1 + math.exp(-x)) for x in spaced(-6, 6, count)]


BETAS: dict[str, Callable[[float, float, int], Betas]] = {
    "linear": linear,
    "scaled_linear": scaled_linear,
    "squaredcos_cap_v2": cosine,
    "sigmoid": sigmoid,
}


class Chain(msgspec.Struct):
    """A scheduler's settings, as far as they are the chain's and not a sampler's."""

    class_name: str = msgspec.field(name="_class_name", default="DDPMScheduler")
    num_train_timesteps: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = 1000
    beta_start: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.0001
    beta_end: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.02
    beta_schedule: str | None = None
    trained_betas: Annotated[Betas, msgspec.Meta(min_length=2, max_length=100_000)] | None = None
    prediction_type: Literal["epsilon", "v_prediction", "sample"] = "epsilon"
    variance_type: str | None = None
    clip_sample: bool = True
    clip_sample_range: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    rescale_betas_zero_snr: bool = False

    def betas(self) -> Betas:
        """beta_1 .. beta_T."""
        if self.trained_betas is not None:
            return self.trained_betas
        make = BETAS[self.beta_schedule or "linear"]
        return make(self.beta_start, self.beta_end, self.num_train_timesteps)

    def check(self) -> None:
        """Raises ValueError where that is no chain of which a state tells of its picture."""
        if self.trained_betas is None and self.beta_schedule is None:
            raise ValueError(
                f"{self.class_name} has no betas; a prior is the model of a variance preserving "
                "chain, such as that of DDPMScheduler or DDIMScheduler"
            )
        if self.trained_betas is None and self.beta_schedule not in BETAS:
            raise ValueError(
                f"its beta_schedule is {self.beta_schedule!r}, and none of {', '.join(BETAS)}"
            )
        if self.rescale_betas_zero_snr:
            raise ValueError(
                "its last state holds nothing of the picture (rescale_betas_zero_snr), which no "
                "method here can start from"
            )
        if not all(0 < beta < 1 for beta in self.betas()):
            raise ValueError("its betas do not all lie between 0 and 1")

    @property
    def levels(self) -> tuple[float, float]:
        """Its least and its largest noise-to-signal ratio."""
        betas = self.betas()
        log_abar = math.log1p(-betas[0]), sum(math.log1p(-beta) for beta in betas)
        return math.expm1(-log_abar[0]) ** 0.5, math.expm1(-log_abar[1]) ** 0.5

    def schedule(self) -> Schedule:
        import torch

        from restorekit.engine.schedule import Schedule

        return Schedule.from_betas(torch.tensor(self.betas(), dtype=torch.float64))
