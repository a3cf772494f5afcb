"""The latents of an autoencoder: a denoiser there, and a photo's problem as one of theirs."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit.engine.conditioning import Degradation, Observation
from restorekit.engine.operators import Mask
from restorekit.engine.regions import Box
from restorekit.engine.schedule import Schedule
from restorekit.errors import RestorekitError
from restorekit.task import Problem, Translated

from .chain import ChainDenoiser, Predict


class Guided:
    """A network told texts: eps of the second, further away from that of the first.

    u + g (c - u) (classifier-free guidance, Ho and Salimans 2022, eq. 6, with g = 1 + w).

    Args:
        network: a UNet2DConditionModel.
        texts: (2 or 1, tokens, width); with one, the network alone.
        guidance: g.
    """

    def __init__(self, network: Any, texts: Tensor, guidance: float) -> None:
        self.network, self.texts, self.guidance = network, texts, guidance

    def __call__(self, x_t: Tensor, k: Tensor) -> Tensor:
        count = len(self.texts)
        texts = self.texts.repeat_interleave(len(x_t), dim=0)
        out: Tensor = self.network(x_t.repeat(count, 1, 1, 1), k.repeat(count), texts).sample
        if count == 1:
            return out
        u, c = out.chunk(2)
        return u + self.guidance * (c - u)


class Codec:
    """Pixels to latents and back.

    Args:
        network: an AutoencoderKL.
        scale: of latents, so that their variance is about 1.
        pixels: of a picture to one of its latents', along a side.
    """

    def __init__(self, network: Any, scale: float, pixels: int) -> None:
        network.enable_tiling()  # beyond what it was trained on, so that memory is bounded
        self.network, self.scale, self.pixels = network, scale, pixels

    def encode(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) on [-1, 1] -> (B, C, H / pixels, W / pixels), on the CPU: their mean."""
        device = next(self.network.parameters()).device
        mean: Tensor = self.network.encode(x.to(device)).latent_dist.mode()
        return self.scale * mean.cpu()

    def decode(self, z: Tensor) -> Tensor:
        """The inverse of `encode`, nearly."""
        device = next(self.network.parameters()).device
        x: Tensor = self.network.decode(z.to(device) / self.scale).sample
        return x.cpu()


class LatentDenoiser(ChainDenoiser):
    """A chain's denoiser of latents.

    It fills holes: a latent is known where all its pixels are, and y is the photo's own latents
    there (Avrahami et al. 2023, blended latent diffusion). The crop around the hole is seen at the
    photo's own resolution.

    Args:
        codec: between pixels and latents.
        Others are those of `ChainDenoiser`, with latents for pixels.
    """

    def __init__(
        self,
        network: Guided,
        schedule: Schedule,
        predict: Predict,
        *,
        codec: Codec,
        precision: torch.dtype,
        multiple: int,
        channels: int,
        bytes_per_pixel: int,
        window: int,
    ) -> None:
        super().__init__(
            network,
            schedule,
            predict,
            precision=precision,
            multiple=multiple,
            channels=channels,
            bytes_per_pixel=bytes_per_pixel,
            window=window,
        )
        self.codec = codec
        self.pixels = codec.pixels
        self.evaluations = len(network.texts)

    def translate(self, problem: Problem) -> Translated:
        """A hole in a photo as one in its latents, and the restored photo of filled latents.

        Raises:
            RestorekitError: with the reason, for a problem that latents cannot tell of.
        """
        observation, mask = problem.observation, problem.observation.operator
        if not isinstance(mask, Mask):
            raise RestorekitError(
                "a latent prior can be told which pixels are known, and nothing else of them, as "
                f"{type(mask).__name__} does; use `restorekit inpaint`, or another --prior"
            )
        if problem.guess_is_state or not (observation.sigma == 0):
            raise RestorekitError(
                "noise in pixels is no noise in latents that a prior could be told of; denoise "
                "the photo first, with another --prior"
            )
        known = mask.known.expand_as(observation.y).amin(1, keepdim=True)
        rough = mask.pinv(observation.y) if problem.guess is None else problem.guess
        picture = torch.where(known > 0, observation.y, rough)
        box = self._around(known[0, 0] == 0)
        part, seen = picture[box.slices], known[box.slices]
        grid = self.pixels * self.multiple
        edge = (0, -part.shape[3] % grid, 0, -part.shape[2] % grid)
        padded = F.pad(part, edge, mode="replicate").expand(-1, 3, -1, -1)
        z = self.codec.encode(padded)
        hole = F.max_pool2d(F.pad(1 - seen.float(), edge, value=1.0), self.pixels)
        own = Mask(1 - hole)

        def back(x_0: Tensor) -> Tensor:
            drawn = self.codec.decode(x_0)[..., : part.shape[2], : part.shape[3]]
            if part.shape[1] == 1:
                drawn = drawn.mean(1, keepdim=True)
            whole = picture.clone()
            whole[box.slices] = torch.where(seen > 0, part, drawn)
            return whole

        filling = Observation(own(z), Degradation(own))
        there = Problem(filling, (z.shape[2], z.shape[3]), guess=z, channels=z.shape[1])
        return Translated(there, back)

    def _around(self, hole: Tensor) -> Box:
        """What is looked at for a hole (H, W): a window at least, with a quarter of it on each
        side, as far as the photo goes."""
        window, grid = self.window * self.pixels, self.pixels * self.multiple

        def reach(some: Tensor) -> tuple[int, int]:
            where = some.nonzero().flatten()
            first, last = (int(where[0]), int(where[-1]) + 1) if len(where) else (0, 1)
            side = max(window, last - first + window // 2)
            side = min(-(-side // grid) * grid, len(some))
            start = min(max((first + last - side) // 2, 0), len(some) - side)
            return start, start + side

        return Box(*reach(hole.any(1)), *reach(hole.any(0)))
