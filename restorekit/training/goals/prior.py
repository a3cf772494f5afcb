"""A diffusion prior: E[x_0 | x_t], and the variance of the reverse step where it is learned."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ... import priors, soundness
from ...engine.denoiser import NetworkDenoiser
from ...engine.losses import OBJECTIVES
from ...engine.schedule import SCHEDULES
from ...engine.unet import UNet
from ...engine.unet_config import UNetConfig
from ...errors import RestorekitError
from ...files import read, write
from ...priors.weights import check_shapes
from .. import augment, card, draws, validation
from ..attribution import licences_in
from ..data import Batch, Photos, to_unit
from ..precision import precision_of
from ..settings import Settings
from ..unfold import unfolded
from .base import Goal, Part

if TYPE_CHECKING:
    from ..run import Checkpoint, Run


class PriorGoal(Goal):
    """What `settings.objective` of the engine's asks of a U-Net."""

    stem = "prior"
    judged = "psnr_25"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.schedule = SCHEDULES[settings.schedule]()
        self.objective = OBJECTIVES[settings.objective]

    def network(self) -> nn.Module:
        return UNet(self.settings.network)

    def begin_with(self, network: nn.Module, init: str | Path) -> str:
        """See `Goal`. A prior without maps may become one with: it begins by passing them over."""
        path = init if isinstance(init, Path) else weights_named(init)
        weights = priors.load(path).network.state_dict()
        described = priors.read_metadata(path)
        theirs = described | {"network": UNetConfig(**described["network"])}
        if self.settings.network.mapped and not theirs["network"].mapped:
            theirs["network"] = dataclasses.replace(theirs["network"], mapped=True)
            stem = torch.zeros_like(network.get_parameter("stem.weight"))
            stem[:, : weights["stem.weight"].shape[1]] = weights["stem.weight"]
            weights["stem.weight"] = stem
        for name in ("network", "parametrisation", "sigma_data"):
            if theirs[name] != getattr(self.settings, name):
                raise RestorekitError(f"{path}: its {name} differs from the settings'; train anew")
        network.load_state_dict(weights)
        digest = hashlib.sha256(read(path)).hexdigest()
        return f"{described.get('name', path.stem)} (sha256 {digest[:16]})"

    def photos(self, folder: Path, cache: Path, **how: Any) -> Photos:
        return Photos.of(self.settings, folder, cache, **how)

    def batches(self, photos: Photos, step: int, share: range, pinned: bool) -> Iterator[Batch]:
        return photos.batches(step, share, pinned=pinned)

    def given(
        self, network: nn.Module, batch: Batch, part: Part, device: str
    ) -> tuple[Tensor, ...]:
        """Crops x_0, their times t and the noise eps: x_t = alpha_t x_0 + sigma_t eps."""
        settings, step, mine = self.settings, part.step, part.mine
        x_0 = to_unit(batch.x_0.to(device, non_blocking=True))
        colours = draws.seed_of(settings, step, draws.COLOURS)
        x_0 = augment.augmented(
            x_0, settings.jitter, settings.shuffle, colours, settings.batch, mine
        )
        t = draws.times(settings, self.schedule, step)[mine]
        eps = draws.noise(settings, x_0, step)[mine]
        faults, holes = batch.faults, batch.holes
        if faults is not None:
            told = draws.told(settings, step)[mine]
            faults = photographed = faults.to(device, non_blocking=True)
            if holes is not None:
                holes = holes.to(device, non_blocking=True)
                photographed = faults * holes.flatten(1).all(1)[:, None, None, None]
            t, eps = draws.of_faults(self.schedule, t, eps, photographed, told)
            if holes is not None:
                t, eps = draws.of_holes(self.schedule, t, eps, holes, faults)
        if settings.unfold:
            restorer = self.denoiser(network, device)
            t, eps = unfolded(
                restorer, x_0, t, eps, settings, step, faults=faults, holes=holes, mine=mine
            )
        return x_0, t, eps

    def loss(self, network: nn.Module, *given: Tensor) -> Tensor:
        x_0, t, eps = given
        return self.objective(self.denoiser(network, str(x_0.device)), x_0, t, eps).sum()

    def denoiser(self, network: nn.Module, device: str) -> NetworkDenoiser:
        """The network as the engine asks it."""
        settings = self.settings
        return NetworkDenoiser(
            network,
            self.schedule,
            settings.parametrisation,
            settings.sigma_data,
            precision=precision_of(settings, device),
            mapped=settings.network.mapped,
        )

    def scores(
        self, network: nn.Module, photos: Photos, device: str, picture: Path
    ) -> dict[str, float]:
        denoiser = self.denoiser(network, device)
        found = validation.scores(denoiser, photos, device)
        validation.draw(denoiser, photos, device, picture)
        return found

    def export(self, run: Run, saved: Checkpoint, name: str) -> None:
        settings, scores = self.settings, run.last_scores(self.judged)
        with run.fitting():
            shapes = {name: tuple(weight.shape) for name, weight in saved["averaged"].items()}
            check_shapes(shapes, settings.network)
        everything = settings.as_dict()
        loading = ("network", "schedule", "parametrisation", "sigma_data")
        described: dict[str, Any] = {
            "name": name,
            **{key: everything[key] for key in loading},
            "training": everything,
            "steps": saved["step"],
            "minutes": round(saved["elapsed"] / 60, 1),
            "time_budget": saved["minutes"],
            "photos": saved["photos"],
            "started_from": saved["started_from"],
            "scores": {k: v for k, v in scores.items() if k not in soundness.FIGURES},
            "soundness": {k: v for k, v in scores.items() if k in soundness.FIGURES},
            "licences": licences_in(run.attribution),
        }
        priors.save(run.weights, saved["averaged"], described, self.settings.bits)
        write(run.card, card.text(described, settings))


def weights_named(name: str) -> Path:
    """The file of a prior of that name, or at that path.

    Raises:
        RestorekitError: if there is none, or it is of another kind.
    """
    from ...loading import find_prior

    return priors.own_weights(find_prior(name))
