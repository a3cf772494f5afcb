"""Seeded standard normals: the same picture on every device, in every order of work."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


class Noise:
    """Standard normals keyed by (seed, name, number of the draw), always drawn on the CPU.

    Args:
        seed: the user's.
        name: of the picture, so that pictures differ and their order does not matter.
    """

    def __init__(self, seed: int, name: str = "") -> None:
        self.seed = seed
        self.name = name
        self.draws = 0

    def branch(self, name: str) -> Noise:
        """An independent source, for instance for another sample of the same picture."""
        return Noise(self.seed, f"{self.name}/{name}")

    def normal(self, shape: tuple[int, ...] | torch.Size) -> Tensor:
        """The next draw, float32 on the CPU."""
        # Names of files need not be text.
        key = f"{self.seed}:{self.draws}:{self.name}".encode(errors="surrogateescape")
        self.draws += 1
        digest = hashlib.blake2b(key, digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
        return torch.randn(tuple(shape), generator=generator)

    def part(self, shape: tuple[int, ...], part: tuple[slice, ...]) -> Noise:
        """The same draws for a part of a picture of that shape."""
        return _Part(self, shape, part)

    def like(self, x: Tensor) -> Tensor:
        """The next draw, shaped, typed and placed as x."""
        return self.normal(x.shape).to(device=x.device, dtype=x.dtype)


class _Part(Noise):
    """Every draw is the whole picture's, of which a part is given."""

    def __init__(self, whole: Noise, shape: tuple[int, ...], part: tuple[slice, ...]) -> None:
        super().__init__(whole.seed, whole.name)
        self.whole, self.shape, self.slices = whole, shape, part

    def branch(self, name: str) -> Noise:
        return _Part(self.whole.branch(name), self.shape, self.slices)

    def normal(self, shape: tuple[int, ...] | torch.Size) -> Tensor:
        drawn = self.whole.normal(self.shape)[self.slices]
        if drawn.shape != shape:
            raise ValueError(f"a part of {tuple(drawn.shape)} was drawn, not {tuple(shape)}")
        return drawn
