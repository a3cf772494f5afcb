"""What the trainings of the small networks share."""

from __future__ import annotations

import dataclasses
import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import RestorekitError
from ...files import read, write
from ...small import weights_in
from ...tensors import check_same, save
from ..attribution import licences_in
from ..card import as_rows, as_toml, licensed
from ..data import Photos, ahead
from ..precision import precision_of
from ..settings import Settings
from .base import Goal, Part

if TYPE_CHECKING:
    from ..run import Checkpoint, Run

FAULTS = 1  # of the uses that a crop's random numbers are put to; `Photos` has the other
# Settings of every such training; the others are a prior's.
ANY = frozenset({"objective", "crop", "scales", "grey", "faded", "held_out", "seed", "precision"})
ANY |= {"bits", "batch", "accumulate", "compile", "steps", "warmup", "clip", "ema"}
ANY |= {"optimiser", "rate", "betas", "weight_decay"}
CARD = """# {name}

{finds} {parameters:.2f} million parameters, kept in {bits} bits each.

| | |
|---|---|
| trained on | {photos} pictures, and {held_out} held out{marks} |
| started from | {started_from} |
| training | {steps:,} steps of {batch} crops of {crop} x {crop} pixels, {minutes} minutes |

## Scores

On held-out pictures{judged_on}:

| | |
|---|---|
{scores}

## Licence and attribution

{licences}

## Made with

    restorekit train PHOTOS -o RUN --preset {stem} --config run.toml{options}

where run.toml is

```toml
{settings}
```
"""

LEAST = 0.01  # root mean square on [-1, 1]: what lacks less counts no more for it

Seeds = Sequence[tuple[int, ...]]


def relative(error: Tensor, lacking: Tensor) -> Tensor:
    """Each picture's root mean square error over the root of what it lacked before, summed.

    So pictures that lack little count, and yet skies do not count most.
    """
    ours, before = (e.square().flatten(1).mean(1).add(1e-6).sqrt() for e in (error, lacking))
    return (ours / (before + LEAST).sqrt()).sum()


class SmallGoal(Goal):
    """One of the networks that are shipped beside the priors.

    Attributes:
        finds: what it is, for its card.
        judged_on: what was done to the pictures that it is scored on.
        more: settings that it reads besides `ANY`.

    Raises:
        RestorekitError: for settings that nothing here reads.
    """

    finds: ClassVar[str]
    judged_on: ClassVar[str] = ", with faults drawn as in training"
    more: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        plain = Settings()
        self.idle = [
            field.name
            for field in dataclasses.fields(settings)
            if field.name not in (*ANY, *self.more)
        ]
        idle = [n for n in self.idle if getattr(settings, n) != getattr(plain, n)]
        if idle:
            raise RestorekitError(
                f"{', '.join(idle)}: no setting of the objective {self.stem}; leave it out"
            )

    @abstractmethod
    def shipped(self) -> Path:
        """The weights that come with the package."""

    @abstractmethod
    def faulty(self, crops: Sequence[np.ndarray], seeds: Seeds) -> tuple[Tensor, ...]:
        """Crops (S, S, 3) uint8 with faults, each drawn by its seed, and what is told of these."""

    def photos(self, folder: Path, cache: Path, **how: Any) -> Photos:
        return Photos.of(self.settings, folder, cache, **how)

    def batches(
        self, photos: Photos, step: int, share: range, pinned: bool
    ) -> Iterator[tuple[Tensor, ...]]:
        def batch(step: int) -> tuple[Tensor, ...]:
            # Other numbers than those that chose the crop, or each photo always had the same.
            seeds = [(self.settings.seed, step, index, FAULTS) for index in share]
            crops = [np.ascontiguousarray(photos.crop_of(step, index).x_0) for index in share]
            made = self.faulty(crops, seeds)
            return tuple(part.pin_memory() for part in made) if pinned else made

        return ahead(batch, step)

    def given(
        self, network: nn.Module, batch: tuple[Tensor, ...], part: Part, device: str
    ) -> tuple[Tensor, ...]:
        return tuple(tensor.to(device, non_blocking=True) for tensor in batch)

    def validation(self, photos: Photos, count: int) -> tuple[Tensor, ...]:
        """Held-out crops with faults, always the same."""
        crops = photos.validation(count, photos.crop).permute(0, 2, 3, 1).numpy()
        return self.faulty(list(crops), [(0, number) for number in range(len(crops))])

    def answered(self, network: nn.Module, x: Tensor, *told: Any) -> Any:
        """What the network says of pictures, in the precision that the settings ask for.

        Args:
            told: whatever else the network takes.
        """
        precision = precision_of(self.settings, str(x.device))
        reduced = precision != torch.float32
        with torch.autocast(x.device.type, precision, enabled=reduced):
            return network(x.contiguous(memory_format=torch.channels_last), *told)

    def begin_with(self, network: nn.Module, init: str | Path) -> str:
        """See `Goal`: a file of weights, a run's folder, or the goal's name for those shipped."""
        path = self.shipped() if init == self.stem else Path(init)
        if path.is_dir():
            path = path / f"{self.stem}.safetensors"
        if not path.exists():
            raise RestorekitError(
                f"--init {init}: no file and no run; {self.stem} takes the shipped weights"
            )
        network.load_state_dict(weights_in(path, network))
        return f"{self.stem} (sha256 {hashlib.sha256(read(path)).hexdigest()[:16]})"

    def export(self, run: Run, saved: Checkpoint, name: str) -> None:
        averaged, began, marks = saved["averaged"], saved["started_from"], saved.get("marks")
        with run.fitting():
            shapes = {key: tuple(weight.shape) for key, weight in averaged.items()}
            check_same(shapes, self.network().state_dict())
        told = {
            "name": name,
            "objective": self.stem,
            "steps": saved["step"],
            "minutes": round(saved["elapsed"] / 60, 1),
            "started_from": began or "random weights",
        }
        options = f" --time-budget {saved['minutes']:g}" if saved["minutes"] else ""
        options += " --init STARTED_FROM" if began else ""
        card = CARD.format(
            **told,
            finds=self.finds,
            parameters=sum(weight.numel() for weight in averaged.values()) / 1e6,
            photos=saved["photos"][0] - saved["photos"][1],
            held_out=saved["photos"][1] or "none, so that the scores are on pictures it saw",
            marks=f"; with real marks (sha256 {marks})" if marks else "",
            bits=self.settings.bits,
            batch=self.settings.batch,
            crop=self.settings.crop,
            judged_on=self.judged_on,
            scores=as_rows(run.last_scores(self.judged)),
            licences=licensed(licences_in(run.attribution))
            + (" Say whose the marks are, too." if marks else ""),
            stem=self.stem,
            options=options + (" --marks MARKS" if marks else ""),
            settings=as_toml(self.settings, without=(*self.idle, "objective")),
        )
        save(run.folder / f"{self.stem}.safetensors", averaged, told, self.settings.bits)
        write(run.folder / f"{self.stem}.md", card)
