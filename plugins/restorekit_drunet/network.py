"""The network of DRUNet (Zhang et al. 2021, "Plug-and-Play Image Restoration with Deep Denoiser
Prior", section 3.1): a U-Net of residual blocks, without biases or any norm.

The names of its layers are those of the published weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Config:
    """What its weights tell of it.

    Attributes:
        channels: of the pictures; it sees one more, the level of their noise.
        widths: channels of each scale, finest first; each halves the resolution.
        blocks: residual blocks of each scale and direction.
    """

    channels: int
    widths: Shape
    blocks: int

    @property
    def multiple(self) -> int:
        """What the sides of a picture must be multiples of."""
        return 2 ** (len(self.widths) - 1)

    @property
    def halo(self) -> int:
        """How far, in pixels, an output sees beyond a block on the grid of `multiple`, rounded up
        to that. 192 for the published networks.

        A block is two 3 x 3 convolutions, which see a pixel further each; what changes the scale
        sees only the pixels that become one.
        """
        reach, block = 1, 2 * self.blocks
        for _ in self.widths[1:]:  # upwards, walked from the output back
            reach = math.ceil((reach + block) / 2)
        reach += block
        for _ in self.widths[1:]:
            reach = 2 * reach + block
        return math.ceil((reach + 1) / self.multiple) * self.multiple


class Block(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.res[2](F.relu(self.res[0](x), inplace=not torch.is_grad_enabled()))
        return h.add_(x)


class UNetRes(nn.Module):
    """(B, channels + 1, H, W) -> (B, channels, H, W), sides multiples of `Config.multiple`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths, count = config.widths, config.blocks
        self.scales = range(1, len(widths))
        self.m_head = conv(config.channels + 1, widths[0])
        for scale in self.scales:
            finer, coarser = widths[scale - 1 : scale + 1]
            down = nn.Conv2d(finer, coarser, 2, stride=2, bias=False)
            up = nn.ConvTranspose2d(coarser, finer, 2, stride=2, bias=False)
            self.add_module(f"m_down{scale}", nn.Sequential(*blocks(finer, count), down))
            self.add_module(f"m_up{scale}", nn.Sequential(up, *blocks(finer, count)))
        self.m_body = nn.Sequential(*blocks(widths[-1], count))
        self.m_tail = conv(widths[0], config.channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.m_head(x)
        skipped = [x]
        for scale in self.scales:
            x = self.get_submodule(f"m_down{scale}")(x)
            skipped.append(x)
        x = self.m_body(x)
        for scale in reversed(self.scales):
            x = self.get_submodule(f"m_up{scale}")(x + skipped[scale])
        out: Tensor = self.m_tail(x + skipped[0])
        return out


def conv(inside: int, outside: int) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, 3, padding=1, bias=False)


def blocks(width: int, count: int) -> Iterable[Block]:
    return (Block(width) for _ in range(count))


def config_of(shapes: Mapping[str, Shape]) -> Config | None:
    """What weights are of, by their names and shapes; None: of another network.

    Raises:
        ValueError: if they are of this one, but not all there or of other shapes.
    """
    if not {"m_head.weight", "m_tail.weight", "m_body.0.res.0.weight"} <= shapes.keys():
        return None
    count = len([name for name in shapes if re.fullmatch(r"m_body\.\d+\.res\.0\.weight", name)])
    scales = len([name for name in shapes if re.fullmatch(r"m_up\d+\.0\.weight", name)])
    coarser = [shapes.get(f"m_up{scale}.0.weight", (0,))[0] for scale in range(1, scales + 1)]
    config = Config(shapes["m_tail.weight"][0], (shapes["m_head.weight"][0], *coarser), count)
    if min(config.channels, *config.widths) < 1:
        raise ValueError("it has no channels")
    return config
