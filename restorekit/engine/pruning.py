"""What each level of a U-Net must work on, where only some of its answer is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .regions import Box
from .unet_config import REACH, UNetConfig


@dataclass(frozen=True)
class Piece:
    """The part of a level's activations that lies in a box, (B, C, H, W)."""

    x: Tensor
    box: Box

    def within(self, box: Box) -> Piece:
        """Of it, what lies in a smaller box."""
        return self if box == self.box else Piece(self.x[box.within(self.box).slices], box)


@dataclass(frozen=True)
class Windows:
    """Boxes, one for each level, in that level's own pixels.

    Attributes:
        down: what each stage on the way down is given, the coarsest level's own among them.
        up: what each on the way up is given.
    """

    down: list[Box]
    up: list[Box]


def windows(config: UNetConfig, whole: Box, inner: Box | None) -> Windows:
    """For answers that are right inside a box, walked back from the answer to the picture.

    A convolution at the edge of a window sees zeros beyond it, and a stage is wrong as far in as
    it sees; each window is larger by that, unless the picture ends there itself.

    Args:
        whole: the finest level.
        inner: the box, in pixels of the picture; None for all of it.
    """
    levels = range(len(config.widths))
    wholes = [whole.scaled(1, 2**level) for level in levels]
    if inner is None or config.halo is None:
        return Windows(wholes, wholes[:-1])
    reach = [REACH[config.block] * count for count in config.blocks_per_level]
    box = inner.scaled(1, config.unshuffle).grown(1, wholes[0])  # by the last convolution
    up, down = [], []
    for level in levels[:-1]:
        box = box.grown(reach[level], wholes[level]).scaled(1, 2)
        up.append(box.scaled(2))
    down = [box.grown(reach[-1], wholes[-1])]
    for level in reversed(levels[:-1]):
        box = down[0].scaled(2).grown(reach[level], wholes[level])
        down.insert(0, box.scaled(1, 2).scaled(2))
    return Windows(down, up)
