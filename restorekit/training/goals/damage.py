"""The network that finds damage and handwriting; see `restorekit/damage`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ... import damage, images
from ...damage.network import KINDS, MULTIPLE, DamageNetwork, loss
from ...errors import RestorekitError
from ...units import from_engine
from ..damage import damaged
from ..data import Photos, ahead, to_unit
from ..marks import Library, library
from ..precision import precision_of
from ..settings import Settings
from ..validation import sheet
from .base import Seen
from .small import SmallGoal

CROPS, SHOWN = 64, 8  # held-out crops that are asked about, and drawn
CERTAIN = 0.9  # how sure counts as found, in the scores


class DamageGoal(SmallGoal):
    """Where a picture is damaged, and where it is written on.

    Args:
        marks: a folder of real marks to draw with, see `library`; None draws all by rule.
    """

    stem = "damage"
    judged = "damage_recall"
    finds = "Finds damage and handwriting in photos, for `inpaint --mask auto`:"

    def __init__(self, settings: Settings, marks: Path | None = None) -> None:
        super().__init__(settings)
        if settings.crop % MULTIPLE:
            raise RestorekitError(f"crop must be a multiple of {MULTIPLE} for damage")
        self.marks = library(marks) if marks is not None else Library()

    def shipped(self) -> Path:
        return damage.WEIGHTS

    def network(self) -> nn.Module:
        return DamageNetwork()

    def photos(self, folder: Path, cache: Path, **how: Any) -> Photos:
        return Photos.of(self.settings, folder, cache, **how)

    def batches(
        self, photos: Photos, step: int, share: range, pinned: bool
    ) -> Iterator[tuple[Tensor, ...]]:
        def batch(step: int) -> tuple[Tensor, ...]:
            crops = (np.ascontiguousarray(photos.crop_of(step, index).x_0) for index in share)
            return self.drawn(list(crops), [(self.settings.seed, step, i) for i in share])

        return ahead(batch, step)

    def drawn(self, crops: list[np.ndarray], seeds: list[tuple[int, ...]]) -> tuple[Tensor, ...]:
        """Crops (S, S, 3) uint8 as they come, what is there, and where that is sure."""
        some = (
            damaged(crop, np.random.default_rng(seed), self.marks)
            for crop, seed in zip(crops, seeds, strict=True)
        )
        pictures, *masks = (np.stack(part) for part in zip(*some, strict=True))
        x = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        return x, *(torch.from_numpy(mask) for mask in masks)

    def given(
        self, network: nn.Module, batch: tuple[Tensor, ...], seen: Seen, device: str
    ) -> tuple[Tensor, ...]:
        x, there, sure = (part.to(device, non_blocking=True) for part in batch)
        x = to_unit(x).contiguous(memory_format=torch.channels_last)
        return x, there.float(), sure.float()

    def loss(self, network: nn.Module, *given: Tensor) -> Tensor:
        x, there, sure = given
        precision = precision_of(self.settings, str(x.device))
        reduced = precision != torch.float32
        with torch.autocast(x.device.type, precision, enabled=reduced):
            logits = network(x)
        return loss(logits.float(), there, sure) * len(x)

    @torch.no_grad()
    def scores(
        self, network: nn.Module, photos: Photos, device: str, picture: Path
    ) -> dict[str, float]:
        """Recall and precision of both kinds at `CERTAIN`, on crops with faults as in training."""
        crops = photos.validation(CROPS, photos.crop).permute(0, 2, 3, 1).numpy()
        batch = self.drawn(list(crops), [(0, i) for i in range(len(crops))])
        x, there, sure = self.given(network, batch, Seen(0, range(len(crops))), device)
        some = (network(part).sigmoid() for part in x.split(8))
        found = (torch.cat(list(some)) > CERTAIN).float() * sure
        both, all_there, all_found = (
            part.sum((0, 2, 3)).tolist() for part in (found * there, sure * there, found)
        )
        marked = torch.cat([found, found.new_zeros(len(found), 3 - KINDS, *found.shape[2:])], 1)
        shown = torch.cat([x, torch.where(marked.amax(1, keepdim=True) > 0, 2 * marked - 1, x)], 3)
        picture.parent.mkdir(parents=True, exist_ok=True)
        drawn = from_engine(sheet(shown[:SHOWN].cpu(), 1), np.dtype(np.uint8))
        images.write(picture, images.Photo(drawn))
        scores = {}
        for kind, hits, there_are, marks in zip(
            ("damage", "writing"), both, all_there, all_found, strict=True
        ):
            scores[f"{kind}_recall"] = round(hits / max(there_are, 1), 3)
            scores[f"{kind}_precision"] = round(hits / max(marks, 1), 3)
        return scores
