"""A training run's folder: its settings, its checkpoint and its log. All writes are atomic."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import torch
from filelock import FileLock, Timeout
from msgspec import Meta
from torch import Tensor

from .. import state as gate
from ..errors import RestorekitError
from ..files import appended, clear, make_folder, opened, read, text, unwritable, write
from .settings import SMALL, Settings

Report = Callable[[dict[str, Any]], None]
REPORT_EVERY = 5.0  # seconds
HARMLESS = ("accumulate", "bits", "compile", "precision")  # settings that a resumed run may change
MARK = ".restorekit-run"  # says that what lies beside it is a run's
OWN = (
    "settings.json",
    "log.jsonl",
    "prior-attribution.tsv",
    *(f"{stem}.{kind}" for stem in ("prior", *SMALL) for kind in ("safetensors", "md")),
    "pictures",
)

Count = Annotated[int, Meta(ge=0)]
Row = dict[str, int | float]


class Drawn(TypedDict, total=False):
    """What runs of before this was kept do not say.

    Attributes:
        marks: see `Goal`.
    """

    marks: str | None


class Checkpoint(Drawn):
    """Where a run has come to.

    Attributes:
        network, averaged: the weights, and their average.
        optimisers: the state of each.
        step, elapsed: steps done, and seconds.
        minutes: of its time budget, if it has one.
        loss_sum, losses: of the steps since the last row of the log, and how many these are.
        name: of what is learned.
        key, photos: of the photos: what they are, how many, and how many are held out.
        started_from: name and hash of the weights that it began with, if it did.
    """

    network: dict[str, Any]
    averaged: dict[str, Any]
    optimisers: list[dict[str, Any]]
    step: Count
    elapsed: Annotated[float, Meta(ge=0, le=1e12)]
    minutes: Annotated[float, Meta(gt=0, le=1e12)] | None
    loss_sum: Any
    losses: Count
    name: str
    key: str
    photos: tuple[Count, Count]
    started_from: str | None


class Run:
    """The folder of a run.

    It holds settings.json, checkpoint.pt, log.jsonl, tensorboard/ where TensorBoard is
    installed, pictures/ of every validation, and at the end the weights and their card:
    prior.safetensors and prior.md, or those of what else it learned.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoint = folder / "checkpoint.pt"
        self.weights = folder / "prior.safetensors"
        self.card = folder / "prior.md"
        self.attribution = folder / "prior-attribution.tsv"
        self.pictures = folder / "pictures"

    @property
    def settings(self) -> Settings:
        """The settings it was started with. Raises RestorekitError if there are none."""
        file = self.folder / "settings.json"
        remedy = "it holds no training run; take the folder of one, or a new one"
        try:
            stored = text(file)
        except RestorekitError as error:
            raise RestorekitError(f"{self.folder}: {remedy}") from error
        values = gate.from_json(stored, dict[str, Any], file, remedy)
        try:
            return Settings.from_dict(values)
        except RestorekitError as error:
            raise RestorekitError(f"{file}: {error}; {remedy}") from error

    def last_scores(self, judged: str) -> dict[str, float]:
        """What the last validation found; nothing where there was none.

        Args:
            judged: the name of a score that every validation has.
        """
        rows = rows_of(self.folder / "log.jsonl")
        found = next((row for row in reversed(rows) if judged in row), Row())
        return {key: value for key, value in found.items() if key != "step"}

    def own_among(self, photos: Path) -> Path:
        """The folder whose pictures are the run's own and no photos.

        It is all of a run that lies below the photos, and pictures/ of one that lies elsewhere:
        the photos may be in its folder.

        Raises:
            RestorekitError: if they are where it draws.
        """
        root, pictures = photos.resolve(), self.pictures.resolve()
        if pictures in (root, *root.parents):
            raise RestorekitError(
                f"{photos}: a run in {self.folder} would draw among them; give it another folder"
            )
        return self.folder if root in self.folder.resolve().parents else self.pictures

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Raises RestorekitError if another training is at work on the run, or if none can be."""
        make_folder(self.folder)
        self._claim()
        lock = self.folder / "lock"
        try:
            held = FileLock(lock, timeout=0).acquire()
        except Timeout as error:
            raise RestorekitError(
                f"{self.folder}: another training is at work on it; wait, or take a new folder"
            ) from error
        except OSError as error:
            raise unwritable(lock, error) from error
        with held:
            yield

    def _claim(self) -> None:
        """Marks the folder as a run's. Raises RestorekitError if it holds what another made."""
        mark = self.folder / MARK
        if mark.exists():
            return
        if not self.checkpoint.exists():  # which runs of before the mark have
            for name in OWN:
                if os.path.lexists(self.folder / name):
                    raise RestorekitError(
                        f"{self.folder / name}: is no training's; give the run a new folder"
                    )
        write(mark, "a training run of restorekit\n")

    def check(self, settings: Settings) -> None:
        """Raises RestorekitError if this is a run of other settings that has come anywhere."""
        if not self.checkpoint.exists():
            return
        own, given = self.settings.as_dict(), settings.as_dict()
        other = [f"{k} = {own[k]!r}" for k in own if k not in HARMLESS and own[k] != given[k]]
        if other:
            raise RestorekitError(
                f"{self.folder}: holds a run with other settings ({', '.join(other)}); "
                "give the same ones or a new folder"
            )

    def begin(self, settings: Settings) -> None:
        """Writes the settings down; removes what a killed training left of a checkpoint."""
        clear(self.checkpoint)
        text = json.dumps(settings.as_dict(), indent=2) + "\n"
        write(self.folder / "settings.json", text)

    def save(self, state: Checkpoint) -> None:
        """Replaces the checkpoint."""
        buffer = io.BytesIO()  # torch.save to a full disk would raise anything but OSError
        torch.save(state, buffer)
        write(self.checkpoint, buffer.getvalue())

    def load(self, device: str) -> Checkpoint:
        """The checkpoint. Raises RestorekitError if it cannot be read, or fits no schema."""
        remedy = "delete it to start again"
        try:
            with opened(self.checkpoint) as file:
                stored = torch.load(file, map_location=device, weights_only=True)
        except Exception as error:  # a file can be wrong in every way
            raise RestorekitError(f"{self.checkpoint}: cannot be read; {remedy}") from error
        state = gate.fitted(stored, Checkpoint, self.checkpoint, remedy)
        weights = [*state["network"].values(), *state["averaged"].values(), state["loss_sum"]]
        if not all(isinstance(w, Tensor) and w.isfinite().all() for w in weights):
            raise RestorekitError(f"{self.checkpoint}: holds what are no finite weights; {remedy}")
        return state

    @contextlib.contextmanager
    def fitting(self) -> Iterator[None]:
        """Raises RestorekitError where the checkpoint turns out to be of another network."""
        try:
            yield
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise RestorekitError(
                f"{self.checkpoint}: does not fit the run's settings ({reason}); "
                "delete it to start again"
            ) from error


def rows_of(log: Path) -> list[Row]:
    """The rows of a log, each with its step; none where there is no log."""
    if not log.exists():
        return []
    return [row for row in gate.rows_from(read(log), Row, log) if row.get("step", -1) >= 0]


class Log:
    """JSON lines, and TensorBoard's scalars where it is installed, from a step on.

    Rows that a resumed run is about to write again are dropped, and so is a torn last line.

    Attributes:
        last: the step of the last row that has a value of that name.
    """

    def __init__(self, run: Run, step: int, report: Report | None = None) -> None:
        self.path = run.folder / "log.jsonl"
        self.last: dict[str, int] = {}
        kept = [row for row in rows_of(self.path) if row["step"] <= step]
        for row in kept:
            self.last |= dict.fromkeys(row, int(row["step"]))
        write(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        self.file = appended(self.path)
        self.report = report
        self.board: Any = None
        with contextlib.suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(run.folder / "tensorboard"), purge_step=step + 1)

    def __call__(self, row: dict[str, Any]) -> None:
        try:
            self.file.write((json.dumps(row) + "\n").encode())
        except OSError as error:
            raise unwritable(self.path, error) from error
        self.last |= dict.fromkeys(row, row["step"])
        if self.board is not None:
            for name, value in row.items():
                if name != "step":
                    self.board.add_scalar(name, value, row["step"])
        if self.report is not None:
            self.report(row)

    def close(self) -> None:
        self.file.close()
        if self.board is not None:
            self.board.close()
