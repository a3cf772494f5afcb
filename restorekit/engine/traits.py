"""What is asked of a denoiser besides its answers, and what is assumed where it does not say."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .denoiser import Denoiser, Prediction, answered
from .wrappers import Wrapper


@dataclass
class Traits:
    """What whoever evaluates a denoiser goes by. A denoiser may have any of it, as attributes of
    these names, and need have none.

    Attributes:
        halo: how far it sees, in pixels: an answer depends on nothing further away, and tiles are
            exact. None: it sees the picture as a whole, and larger ones come in windows.
        multiple: of pixels; tiles begin on such, as the network's coarsest level has them.
        channels: of the pictures.
        bytes_per_pixel: what an evaluation takes, at its peak.
        window: side of the pictures that it was trained on, pixels.
        heard: the least and the largest noise-to-signal ratio that it was trained at.
        turned: whether it was trained on pictures in quarter turns too, besides mirrored ones.
            Mirrored ones are taken to be as likely whatever this says.
        bound: whether it takes the level that it is told for an upper bound: there may be less
            noise, or none. Else it is asked about a photo's own noise with some more added.
        mapped: whether it takes a time for every pixel.
        pixels: of a picture to one of its own, along a side, where it has a space of its own: all
            else here that is counted in pixels is counted in its own.
        evaluations: of its network, for an answer.
        precision: of its layers. In one that has this attribute it may be changed.
    """

    halo: int | None = None
    multiple: int = 1
    channels: int = 3
    bytes_per_pixel: int = 1024
    window: int = 256
    heard: tuple[float, float] = (0.0, math.inf)
    turned: bool = False
    bound: bool = False
    mapped: bool = False
    pixels: int = 1
    evaluations: int = 1
    precision: torch.dtype = torch.float32


class Known(Wrapper, Traits):
    """A denoiser with all traits.

    Args:
        denoiser: its own come first.
        stated: those it has where it says nothing.

    Attributes:
        reducible: whether it can be evaluated in another precision.
        translate: takes a problem into the denoiser's own space (see `task.Translated`); None
            where that is the space of pixels.
    """

    pointwise = True

    def __init__(self, denoiser: Denoiser, stated: Traits) -> None:
        super().__init__(denoiser)
        for trait in dataclasses.fields(Traits):
            value = getattr(denoiser, trait.name, getattr(stated, trait.name))
            setattr(self, trait.name, value)
        if self.halo is not None:  # tiles grown by it stay on the grid
            self.halo = math.ceil(self.halo / self.multiple) * self.multiple
        self.reducible = hasattr(denoiser, "precision")
        self.translate: Callable[[Any], Any] | None = getattr(denoiser, "translate", None)

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        return answered(self.denoiser(x_t, t), x_t)


def known(denoiser: Denoiser) -> Known:
    """One with all traits, the denoiser itself if it is such a one."""
    return denoiser if isinstance(denoiser, Known) else Known(denoiser, Traits())
