"""The U-Net of guided-diffusion, from the paper and under the names of the published checkpoints.

Dhariwal and Nichol 2021, section 3 and appendix: BigGAN's residual blocks for up and down,
adaptive group norm (eq. 7), attention of several heads at some levels. For comparison alone: plain
softmax, nothing fused.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def embedding(k: Tensor, width: int) -> Tensor:
    """Cosines, then sines, of k at frequencies from 1 down to nearly 1 / 10000."""
    half = width // 2
    angles = k[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / half)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Residual(nn.Module):
    def __init__(self, before: int, after: int, embedded: int, resize: str = "") -> None:
        super().__init__()
        self.resize = resize
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedded, 2 * after))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, after), nn.SiLU(), nn.Dropout(0), nn.Conv2d(after, after, 3, padding=1)
        )
        self.skip_connection = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def resized(self, x: Tensor) -> Tensor:
        if self.resize == "up":
            return x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return F.avg_pool2d(x, 2) if self.resize == "down" else x

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        norm, silu, convolution = self.in_layers
        h = convolution(self.resized(silu(norm(x))))
        scale, shift = self.emb_layers(embedded)[:, :, None, None].chunk(2, dim=1)
        norm, *rest = self.out_layers
        h = norm(h) * (1 + scale) + shift
        for layer in rest:
            h = layer(h)
        return self.skip_connection(self.resized(x)) + h


class Attention(nn.Module):
    """Heads of 64 channels; each has its queries, keys and values next to each other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, embedded: Tensor) -> Tensor:
        flat = x.flatten(2)
        heads = []
        for head in self.qkv(self.norm(flat)).split(3 * 64, dim=1):
            q, k, v = head.split(64, dim=1)
            weights = torch.einsum("bct,bcs->bts", q, k).div(64**0.5).softmax(dim=-1)
            heads.append(torch.einsum("bts,bcs->bct", weights, v))
        return (flat + self.proj_out(torch.cat(heads, dim=1))).reshape(x.shape)


class ADM(nn.Module):
    """eps, and v of the learned range, (B, 6, H, W), of a state and its step k."""

    def __init__(
        self, width: int = 64, mult: tuple[int, ...] = (1, 2), blocks: int = 2, attends: str = " a"
    ) -> None:
        super().__init__()
        self.width, self.mult = width, mult
        e = 4 * width
        self.time_embed = nn.Sequential(nn.Linear(width, e), nn.SiLU(), nn.Linear(e, e))
        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Conv2d(3, width, 3, padding=1)])])
        now, waiting = width, [width]
        for level, factor in enumerate(mult):
            for _ in range(blocks):
                layers: list[nn.Module] = [Residual(now, factor * width, e)]
                now = factor * width
                layers += [Attention(now)] if attends[level] == "a" else []
                self.input_blocks.append(nn.ModuleList(layers))
                waiting.append(now)
            if level < len(mult) - 1:
                self.input_blocks.append(nn.ModuleList([Residual(now, now, e, "down")]))
                waiting.append(now)
        self.middle_block = nn.ModuleList(
            [Residual(now, now, e), Attention(now), Residual(now, now, e)]
        )
        self.output_blocks = nn.ModuleList()
        for level, factor in reversed([*enumerate(mult)]):
            for i in range(blocks + 1):
                layers = [Residual(now + waiting.pop(), factor * width, e)]
                now = factor * width
                layers += [Attention(now)] if attends[level] == "a" else []
                layers += [Residual(now, now, e, "up")] if level and i == blocks else []
                self.output_blocks.append(nn.ModuleList(layers))
        self.out = nn.Sequential(nn.GroupNorm(32, now), nn.SiLU(), nn.Conv2d(now, 6, 3, padding=1))

    def forward(self, x: Tensor, k: Tensor) -> Tensor:
        embedded = self.time_embed(embedding(k, self.width))
        x, *waiting = [self.input_blocks[0][0](x)] * 2
        for block in self.input_blocks[1:]:
            for layer in block:
                x = layer(x, embedded)
            waiting.append(x)
        for layer in self.middle_block:
            x = layer(x, embedded)
        for block in self.output_blocks:
            x = torch.cat([x, waiting.pop()], dim=1)
            for layer in block:
                x = layer(x, embedded)
        return self.out(x)
