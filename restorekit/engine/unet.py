"""The U-Net: residual blocks on several resolutions, conditioned on the log noise level."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .pruning import Piece, windows
from .regions import Box
from .unet_config import UNetConfig, heads_for


def zero(layer: nn.Module) -> None:
    """Starts a layer at zero, so that a fresh net is the identity around it."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class NoiseEmbedding(nn.Module):
    """Fourier features of log(noise-to-signal) through a small perceptron."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, log_noise: Tensor) -> Tensor:
        octaves = torch.linspace(-4, 0.5, self.width // 2).to(log_noise)
        angles = log_noise[:, None] * 2.0**octaves
        return F.silu(self.mlp(torch.cat([angles.cos(), angles.sin()], dim=1)))


class ResidualBlock(nn.Module):
    """x + conv(silu(scale * [norm] conv(x) + shift)), scale and shift from the noise level."""

    def __init__(self, width: int, embedding: int, norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(math.gcd(32, width), width, affine=False) if norm else None
        self.modulation = nn.Linear(embedding, 2 * width)
        zero(self.modulation)
        zero(self.conv2)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding).chunk(2, dim=1)
        scale = 1 + scale
        if self.norm is None and len(embedding) == 1:
            # One noise level for the whole batch: scale and shift are a change of the weights,
            # which saves two passes over the activations.
            weight = self.conv1.weight * scale[0, :, None, None, None]
            bias = self.conv1.bias * scale[0] + shift[0]
            h = F.conv2d(x, weight, bias, padding=1)
        else:
            h = self.conv1(x)
            h = h if self.norm is None else self.norm(h)
            h = torch.addcmul(
                shift.to(h.dtype)[:, :, None, None], h, scale.to(h.dtype)[:, :, None, None]
            )
        h = F.silu(h, inplace=not torch.is_grad_enabled())
        return self.conv2(h).add_(x)


class NAFBlock(nn.Module):
    """A local NAFNet block (Chen et al. 2022, figure 3c): gates instead of activations.

    Without its channel attention, which would be global.
    """

    def __init__(self, width: int, embedding: int, norm: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.modulation = nn.Linear(embedding, 2 * width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.depthwise = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.mix = nn.Conv2d(width, width, 1)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.narrow = nn.Conv2d(width, width, 1)
        for layer in (self.modulation, self.mix, self.narrow):
            zero(layer)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        h = self._normalised(x, 0)
        h = torch.addcmul(shift.to(h.dtype), h, 1 + scale.to(h.dtype))
        a, b = self.depthwise(self.expand(h)).chunk(2, dim=1)
        x = x + self.mix(a * b)
        a, b = self.widen(self._normalised(x, 1)).chunk(2, dim=1)
        return x + self.narrow(a * b)

    def _normalised(self, x: Tensor, which: int) -> Tensor:
        """Each pixel's channels normalised by themselves, so that the net stays local."""
        return self.norms[which](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


BLOCKS: dict[str, type[ResidualBlock] | type[NAFBlock]] = {
    "residual": ResidualBlock,
    "naf": NAFBlock,
}


class Attention(nn.Module):
    """Self-attention over all positions, added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = heads_for(width)
        self.norm = nn.GroupNorm(math.gcd(32, width), width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        zero(self.out)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = qkv.transpose(-1, -2).unbind(1)
        if h * w <= 256 and x.device.type == "cpu":  # there the fused kernel is seven times slower
            y = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(y.transpose(-1, -2).reshape(b, c, h, w))


class Stage(nn.Module):
    """The blocks of one level in one direction."""

    def __init__(self, config: UNetConfig, level: int) -> None:
        super().__init__()
        width, count = config.widths[level], config.blocks_per_level[level]
        self.blocks = nn.ModuleList(
            BLOCKS[config.block](width, config.embedding, config.norm) for _ in range(count)
        )
        attend = level in config.attention
        self.attention = nn.ModuleList(Attention(width) for _ in range(count if attend else 0))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = block(x, embedding)
            if self.attention:
                x = self.attention[i](x)
        return x


class UNet(nn.Module):
    """A U-Net with additive skips, strided convolutions down and transposed ones up.

    Shape:
        x (B, C, H, W) of any size, C + 1 channels where it is told a map; log_noise (B,), or (1,)
        for one level shared by the batch
        -> (B, C, H, W), or (B, 2 C, H, W) with a learned variance. Where only the pixels inside a
        box are asked for, the others may be anything, and no level works on more than it must.
    """

    prunes = True

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths, levels = config.widths, len(config.widths)
        inside = (config.channels + config.mapped) * config.unshuffle**2
        outside = config.channels * config.unshuffle**2 * (2 if config.learned_variance else 1)
        self.embed = NoiseEmbedding(config.embedding)
        self.stem = nn.Conv2d(inside, widths[0], 3, padding=1)
        self.down = nn.ModuleList(Stage(config, level) for level in range(levels))
        self.up = nn.ModuleList(Stage(config, level) for level in range(levels - 1))
        pairs = list(itertools.pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.head = nn.Conv2d(widths[0], outside, 3, padding=1)
        zero(self.head)

    def forward(self, x: Tensor, log_noise: Tensor, inner: Box | None = None) -> Tensor:
        height, width = x.shape[-2:]
        m = self.config.multiple
        x = F.pad(x, (0, -width % m, 0, -height % m), mode="replicate")
        x = x.contiguous(memory_format=torch.channels_last)
        embedding = self.embed(log_noise)
        if self.config.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.config.unshuffle)
        whole = Box(0, x.shape[-2], 0, x.shape[-1])
        asked = windows(self.config, whole, inner)
        seen = Piece(x, whole).within(asked.down[0].grown(1, whole))
        h = Piece(self.stem(seen.x), seen.box)
        skips = []
        for stage, shrink, box in zip(self.down, self.shrink, asked.down, strict=False):
            skips.append(Piece(stage(h.within(box).x, embedding), box))
            h = Piece(shrink(skips[-1].x), box.scaled(1, 2))
        box = asked.down[-1]
        h = Piece(self.down[-1](h.within(box).x, embedding), box)
        for grow, stage, box in reversed(list(zip(self.grow, self.up, asked.up, strict=True))):
            grown = grow(h.within(box.scaled(1, 2)).x)
            h = Piece(stage(grown.add_(skips.pop().within(box).x), embedding), box)
        out: Tensor = self.head(h.x)
        if inner is not None:
            around = whole.right - box.right, box.top, whole.bottom - box.bottom
            out = F.pad(out, (box.left, *around))
        if self.config.unshuffle > 1:
            out = F.pixel_shuffle(out, self.config.unshuffle)
        return out[..., :height, :width]
