"""What a U-Net is built from, and what follows from that. It takes no torch to say so."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Far above any network for photographs; what a broken file claims may not build for minutes.
LARGEST = {"widths": 8192, "blocks": 64, "unshuffle": 16, "embedding": 8192, "channels": 16}
MOST_LEVELS = 8
REACH = {"residual": 2, "naf": 1}  # pixels that a block's output sees beyond its own


@dataclass(frozen=True)
class UNetConfig:
    """What a U-Net is built from; stored in the metadata of its weights.

    Attributes:
        widths: channels of each resolution, finest first; each level halves the resolution.
        blocks: residual blocks per level and direction, one number for all or one a level.
        block: "residual" (two 3x3 convolutions) or "naf" (1x1 and depthwise convolutions, gated).
        attention: levels (0 is the finest) with self-attention, which makes the net global.
        norm: group normalisation in every block, which makes the net global.
        unshuffle: factor of a pixel-unshuffle stem; 1 works at full resolution throughout.
        channels: image channels.
        learned_variance: also give the fraction v of improved DDPM eq. 15, per value.
        embedding: width of the noise-level embedding.
        mapped: a further input channel says where there is less noise than told (see
            `NetworkDenoiser`).
    """

    widths: tuple[int, ...] = (32, 64, 128, 256)
    blocks: int | tuple[int, ...] = 2
    block: str = "residual"
    attention: tuple[int, ...] = ()
    norm: bool = False
    unshuffle: int = 1
    channels: int = 3
    learned_variance: bool = False
    embedding: int = 128
    mapped: bool = False

    def __post_init__(self) -> None:
        for name in ("norm", "learned_variance", "mapped"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name} must be true or false")
        for name in ("widths", "attention"):  # lists when they come from JSON or TOML
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not isinstance(self.blocks, int):
            object.__setattr__(self, "blocks", tuple(self.blocks))
        if not self.widths or len(self.blocks_per_level) != len(self.widths):
            raise ValueError("blocks must be one number or one number for each width")
        if not isinstance(self.block, str) or self.block not in REACH:
            raise ValueError(f"block {self.block!r} is unknown; use {', '.join(REACH)}")
        if self.block == "naf" and self.norm:
            raise ValueError("naf blocks have a norm of their own; leave out norm")
        for name, most in LARGEST.items():
            value = getattr(self, name)
            sizes = value if isinstance(value, tuple) else (value,)
            if any(type(size) is not int or not 1 <= size <= most for size in sizes):
                raise ValueError(f"{name} must be whole numbers from 1 to {most}")
        if len(self.widths) > MOST_LEVELS or self.embedding % 2:
            raise ValueError(f"widths must be {MOST_LEVELS} at most, and embedding even")
        if any(type(level) is not int for level in self.attention):
            raise ValueError("attention levels must be whole numbers")
        if any(not 0 <= level < len(self.widths) for level in self.attention):
            raise ValueError(f"attention levels must lie in 0..{len(self.widths) - 1}")
        if any(self.widths[level] % heads_for(self.widths[level]) for level in self.attention):
            raise ValueError("widths of levels with attention must be multiples of 32")

    @property
    def blocks_per_level(self) -> tuple[int, ...]:
        if isinstance(self.blocks, int):
            return (self.blocks,) * len(self.widths)
        return self.blocks

    @property
    def multiple(self) -> int:
        """Sides of the picture are padded to a multiple of this inside the net."""
        return self.unshuffle * 2 ** (len(self.widths) - 1)

    @property
    def bytes_per_pixel(self) -> int:
        """What a float32 evaluation takes at its peak, roughly: some maps of the finest level."""
        return 6 * 4 * self.widths[0] // self.unshuffle**2

    @property
    def halo(self) -> int | None:
        """How far, in pixels, an output value can see beyond a block aligned to `multiple`.

        None where a layer is global. Rounded up to `multiple`, so that tiles grown by it stay
        aligned and give the same numbers as the whole picture.
        """
        if self.attention or self.norm:
            return None
        per_level = [REACH[self.block] * count for count in self.blocks_per_level]
        reach = 1  # the last convolution
        for level in range(len(self.widths) - 1):  # upwards, walked from the output back
            reach = math.ceil((reach + per_level[level]) / 2)
        reach += per_level[-1]
        for level in reversed(range(len(self.widths) - 1)):
            reach = 2 * reach + per_level[level]
        reach = (reach + 1) * self.unshuffle
        return math.ceil(reach / self.multiple) * self.multiple


def heads_for(width: int) -> int:
    """Of 32 channels each."""
    return max(1, width // 32)
