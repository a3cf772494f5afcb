"""The network that finds damage and handwriting; see `restorekit/damage`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ... import damage, images
from ...damage.network import KINDS, MULTIPLE, DamageNetwork, loss
from ...errors import RestorekitError
from ...units import from_engine
from ..damage import damaged
from ..data import Photos, to_unit
from ..marks import Library, library
from ..settings import Settings
from ..validation import sheet
from .base import Part
from .small import Seeds, SmallGoal

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
    more = ("rotate",)

    def __init__(self, settings: Settings, marks: Path | None = None) -> None:
        super().__init__(settings)
        if settings.crop % MULTIPLE:
            raise RestorekitError(f"crop must be a multiple of {MULTIPLE} for damage")
        self.library = library(marks) if marks is not None else Library()
        self.marks = self.library.digest if marks is not None else None

    def shipped(self) -> Path:
        return damage.WEIGHTS

    def network(self) -> nn.Module:
        return DamageNetwork()

    def faulty(self, crops: Sequence[np.ndarray], seeds: Seeds) -> tuple[Tensor, ...]:
        """Crops as they come, what is there, and where that is sure."""
        some = (
            damaged(crop, np.random.default_rng(seed), self.library)
            for crop, seed in zip(crops, seeds, strict=True)
        )
        pictures, *masks = (np.stack(part) for part in zip(*some, strict=True))
        x = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        return x, *(torch.from_numpy(mask) for mask in masks)

    def given(
        self, network: nn.Module, batch: tuple[Tensor, ...], part: Part, device: str
    ) -> tuple[Tensor, ...]:
        x, there, sure = (tensor.to(device, non_blocking=True) for tensor in batch)
        return to_unit(x), there.float(), sure.float()

    def loss(self, network: nn.Module, *given: Tensor) -> Tensor:
        x, there, sure = given
        return loss(self.answered(network, x).float(), there, sure) * len(x)

    @torch.no_grad()
    def scores(
        self, network: nn.Module, photos: Photos, device: str, picture: Path
    ) -> dict[str, float]:
        """Recall and precision of both kinds at `CERTAIN`, on crops with faults as in training."""
        batch = self.validation(photos, CROPS)
        x, there, sure = self.given(network, batch, Part(0, range(len(batch[0]))), device)
        answers = torch.cat([self.answered(network, some).float() for some in x.split(8)])
        found = (answers.sigmoid() > CERTAIN).float() * sure
        both, all_there, all_found = (
            part.sum((0, 2, 3)).tolist() for part in (found * there, sure * there, found)
        )
        red_and_green = F.pad(2 * found - 1, (0, 0, 0, 0, 0, 1), value=-1.0)
        over = torch.where(found.amax(1, keepdim=True) > 0, red_and_green, x)
        shown = torch.cat([x, over], dim=3)
        picture.parent.mkdir(parents=True, exist_ok=True)
        drawn = from_engine(sheet(shown[:SHOWN].cpu(), 1), np.dtype(np.uint8))
        images.write(picture, images.Photo(drawn))
        scores = {}
        for kind, hits, wanted, marked in zip(KINDS, both, all_there, all_found, strict=True):
            scores[f"{kind}_recall"] = round(hits / max(wanted, 1), 3)
            scores[f"{kind}_precision"] = round(hits / max(marked, 1), 3)
        return scores
