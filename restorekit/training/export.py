"""The end of a run: its averaged weights, with a card."""

from __future__ import annotations

from pathlib import Path

from ..errors import RestorekitError
from .goals import goal_of
from .run import Run


def export(run: Run, name: str | None = None) -> Path:
    """Writes the averaged weights of a run's checkpoint, and their card.

    Args:
        name: of what was learned; by default as the run was told.

    Raises:
        RestorekitError: if there is no checkpoint, or it is none of the run's settings.
    """
    if not run.checkpoint.exists():
        raise RestorekitError(f"{run.folder}: has no checkpoint yet; train first")
    goal, saved = goal_of(run.settings), run.load("cpu")
    goal.export(run, saved, name or saved["name"])
    return run.folder / f"{goal.stem}.safetensors"
