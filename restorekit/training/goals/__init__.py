"""What a run of `restorekit train` learns: a prior, or one of the small networks beside it."""

from __future__ import annotations

from pathlib import Path

from ...errors import RestorekitError
from ..settings import Settings
from .base import Goal, Part


def goal_of(settings: Settings, *, marks: Path | None = None) -> Goal:
    """The goal of some settings.

    Args:
        marks: a folder of real marks, which damage is drawn with.

    Raises:
        RestorekitError: for marks where no damage is drawn.
    """
    if settings.objective == "damage":
        from .damage import DamageGoal

        return DamageGoal(settings, marks)
    if marks is not None:
        raise RestorekitError("--marks goes with the objective damage, as --preset damage has it")
    if settings.objective == "noise_level":
        from .noise_level import NoiseLevelGoal

        return NoiseLevelGoal(settings)
    if settings.objective == "enlargement":
        from .enlargement import EnlargementGoal

        return EnlargementGoal(settings)
    if settings.objective == "dequantisation":
        from .dequantisation import DequantisationGoal

        return DequantisationGoal(settings)
    from .prior import PriorGoal

    return PriorGoal(settings)


__all__ = ["Goal", "Part", "goal_of"]
