"""The network that says what a JPEG took away; see `restorekit/dequantisation`."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ... import dequantisation, images
from ...dequantisation.network import DequantisationNetwork
from ...units import from_engine
from ..data import Photos, to_unit
from ..photographed import log_uniform
from ..validation import sheet
from .small import Seeds, SmallGoal, relative

QUALITIES = 6, 96
OTHER = 0.3  # share of the files whose tables are not the standard's
SUBSAMPLINGS = {0: (1, 1), 1: (1, 2), 2: (2, 2)}  # Pillow's name -> pixels a sample of chroma has
OFTEN = (0.3, 0.1, 0.6)  # of these
CROPS, SHOWN = 32, 6  # held-out crops that are compressed, and drawn
JUDGED = 10, 20, 40, 80  # qualities


class DequantisationGoal(SmallGoal):
    """What the quantisation of a JPEG took away."""

    stem = "dequantisation"
    judged = "gain_10"
    finds = "Says what a JPEG took away, which `dejpeg` begins with:"
    judged_on = ", compressed in colour, 4:2:0; dB above the decoder"
    more = ("rotate",)

    def shipped(self) -> Path:
        return dequantisation.WEIGHTS

    def network(self) -> nn.Module:
        return DequantisationNetwork()

    def faulty(self, crops: Sequence[np.ndarray], seeds: Seeds) -> tuple[Tensor, ...]:
        """Crops as files hold them; the steps of their tables; what quantisation took away."""
        made = [with_faults(crop, seed) for crop, seed in zip(crops, seeds, strict=True)]
        y, steps = (torch.stack(part) for part in zip(*made, strict=True))
        x_0 = to_unit(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2))
        return y, steps, x_0 - y

    def loss(self, network: nn.Module, *given: Tensor) -> Tensor:
        """See `relative`."""
        y, steps, lacking = given
        error = self.answered(network, y, steps).float() - lacking
        return relative(error, lacking)

    @torch.no_grad()
    def scores(
        self, network: nn.Module, photos: Photos, device: str, picture: Path
    ) -> dict[str, float]:
        """Mean gain of PSNR in dB over the decoder; and a sheet of the first quality's."""
        crops = photos.validation(CROPS, photos.crop)
        found = {}
        for grey in (False, True):
            kept = crops.float().mean(1, keepdim=True).expand_as(crops).byte() if grey else crops
            x_0 = to_unit(kept)
            for quality in JUDGED:
                made = [coded(c, quality) for c in kept.permute(0, 2, 3, 1).numpy()]
                y, steps = (torch.stack(part) for part in zip(*made, strict=True))
                x = y + self.answered(network, y.to(device), steps.to(device)).float().cpu()
                before, after = (
                    10 * (part - x_0).square().flatten(1).mean(1).log10() for part in (y, x)
                )
                name = f"gain_{'grey_' if grey else ''}{quality}"
                found[name] = round((before - after).mean().item(), 3)
                if quality == JUDGED[0] and not grey:
                    shown = torch.stack([x_0, y, x.clamp(-1, 1)], dim=1)[:SHOWN].flatten(0, 1)
        picture.parent.mkdir(parents=True, exist_ok=True)
        images.write(picture, images.Photo(from_engine(sheet(shown, 3), np.dtype(np.uint8))))
        return found


def with_faults(crop: np.ndarray, seed: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """A crop (S, S, 3) uint8 through a file of any quality, tables and subsampling."""
    rng = np.random.default_rng(seed)
    quality, sampling = round(log_uniform(rng, *QUALITIES)), int(rng.choice(3, p=OFTEN))
    return coded(crop, quality, sampling, rng if rng.random() < OTHER else None)


def coded(
    crop: np.ndarray, quality: int, sampling: int = 2, rng: np.random.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """A crop (S, S, 3) uint8 through a file, (3, S, S) on [-1, 1], and its `steps_over`.

    Args:
        rng: draws tables of its own, as cameras and editors have them: flatter or steeper than the
            standard's, finer or coarser for the chroma.
    """
    grey = bool((crop == crop[..., :1]).all())
    how: dict[str, Any] = {} if grey else {"subsampling": sampling}
    if rng is None:
        how["quality"] = quality
    else:
        how["qtables"] = own_tables(quality, rng)[: 1 if grey else 2]
    buffer = io.BytesIO()
    Image.fromarray(crop[..., 0] if grey else crop).save(buffer, "JPEG", **how)
    file = Image.open(buffer)
    tables = [torch.tensor(t).reshape(8, 8) for t in file.quantization.values()]  # type: ignore[attr-defined]
    over = list(zip(tables, ((1, 1), SUBSAMPLINGS[sampling]), strict=False))
    steps = dequantisation.steps_over(over, (crop.shape[0], crop.shape[1]))
    y = torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1)
    return to_unit(y), steps


def own_tables(quality: int, rng: np.random.Generator) -> list[list[int]]:
    """Luma's and chroma's, from the standard's of a quality."""
    found = []
    steep, chroma = rng.uniform(0.5, 1.3), log_uniform(rng, 0.4, 1.5)
    for standard, factor in zip(standard_tables(quality), (1.0, chroma), strict=True):
        table = np.array(standard, dtype=float)
        table = table.mean() * (table / table.mean()) ** steep * factor
        found.append(table.round().clip(1, 255).astype(int).tolist())
    return found


@functools.cache
def standard_tables(quality: int) -> tuple[list[int], list[int]]:
    """Of luma and of chroma, as libjpeg has them."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=quality)
    luma, chroma = Image.open(buffer).quantization.values()  # type: ignore[attr-defined]
    return list(luma), list(chroma)
