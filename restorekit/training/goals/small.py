"""What the trainings of the two small networks share."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from ...files import read, write
from ...small import weights_in
from ...tensors import check_same
from ..attribution import licences_in
from ..card import as_rows, as_toml, licensed
from .base import Goal

if TYPE_CHECKING:
    from ..run import Checkpoint, Run

CARD = """# {name}

{finds} {parameters:.2f} million parameters, kept in half precision.

| | |
|---|---|
| trained on | {photos} pictures, and {held_out} held out |
| started from | {started_from} |
| training | {steps:,} steps of {batch} crops of {crop} x {crop} pixels, {minutes} minutes |

## Scores

On held-out pictures, with faults drawn as in training:

| | |
|---|---|
{scores}

## Licence and attribution

{licences}

## Made with

    restorekit train PHOTOS -o RUN --config run.toml{budget}{init}

where run.toml is

```toml
{settings}
```
"""


class SmallGoal(Goal):
    """One of the networks that are shipped beside the priors, and asked on the CPU.

    Attributes:
        finds: what it is, for its card.
    """

    finds: ClassVar[str]

    @abstractmethod
    def shipped(self) -> Path:
        """The weights that come with the package."""

    def begin_with(self, network: nn.Module, init: str | Path) -> str:
        """See `Goal`: a file of weights, a run's folder, or the goal's name for those shipped."""
        path = self.shipped() if init == self.stem else Path(init)
        if path.is_dir():
            path = path / f"{self.stem}.safetensors"
        network.load_state_dict(weights_in(path, network))
        return f"{path.stem} (sha256 {hashlib.sha256(read(path)).hexdigest()[:16]})"

    def export(self, run: Run, saved: Checkpoint, name: str) -> None:
        from safetensors.torch import save

        averaged = saved["averaged"]
        with run.fitting():
            shapes = {key: tuple(weight.shape) for key, weight in averaged.items()}
            check_same(shapes, self.network().state_dict())
        half = {key: w.to("cpu", torch.float16).contiguous() for key, w in averaged.items()}
        described: dict[str, Any] = {
            "name": name,
            "finds": self.finds,
            "parameters": sum(w.numel() for w in half.values()) / 1e6,
            "photos": saved["photos"][0] - saved["photos"][1],
            "held_out": saved["photos"][1] or "none, so that the scores are on pictures it saw",
            "started_from": saved["started_from"] or "random weights",
            "steps": saved["step"],
            "batch": self.settings.batch,
            "crop": self.settings.crop,
            "minutes": round(saved["elapsed"] / 60, 1),
            "scores": as_rows(run.last_scores(self.judged)),
            "licences": licensed(licences_in(run.attribution)),
            "budget": f" --time-budget {saved['minutes']:g}" if saved["minutes"] else "",
            "init": " --init STARTED_FROM" if saved["started_from"] else "",
            "settings": as_toml(self.settings),
        }
        write(run.folder / f"{self.stem}.safetensors", save(half))
        write(run.folder / f"{self.stem}.md", CARD.format(**described))
