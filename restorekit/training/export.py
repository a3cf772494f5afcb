"""The end of a run: its averaged weights as a prior, with a model card."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

from .. import priors, soundness
from ..errors import RestorekitError
from ..files import read, text, write
from ..priors.weights import check_shapes
from . import card
from .run import Run

ATTRIBUTION = "ATTRIBUTION.tsv"  # file, licence, author, source: in the data folder, if at all


def keep_attribution(run: Run, data: Path) -> None:
    """Copies the photos' ATTRIBUTION.tsv into the run, where there is one.

    Raises:
        RestorekitError: if it does not say the licences.
    """
    source = data / ATTRIBUTION
    if source.exists():
        licences_in(source)
        write(run.attribution, read(source))


def licences_in(table: Path) -> dict[str, int]:
    """How many photos an attribution has under each licence, most first; none where it is not."""
    if not table.exists():
        return {}
    try:
        rows = csv.DictReader(io.StringIO(text(table), newline=""), delimiter="\t")
        return dict(Counter(row["licence"] or "unknown" for row in rows).most_common())
    except (KeyError, ValueError, csv.Error) as error:
        raise RestorekitError(
            f"{table}: names no licences; its columns, between tabs and in UTF-8, are "
            "file, licence, author, source"
        ) from error


def export(run: Run, name: str | None = None) -> Path:
    """Writes the averaged weights of a run's checkpoint in half precision, and their card.

    Args:
        name: of the prior; by default as the run was told.

    Raises:
        RestorekitError: if there is no checkpoint, or it is none of the run's settings.
    """
    if not run.checkpoint.exists():
        raise RestorekitError(f"{run.folder}: has no checkpoint yet; train first")
    settings, saved, scores = run.settings, run.load("cpu"), run.last_scores()
    with run.fitting():
        shapes = {name: tuple(weight.shape) for name, weight in saved["averaged"].items()}
        check_shapes(shapes, settings.network)
    everything = settings.as_dict()
    loading = ("network", "schedule", "parametrisation", "sigma_data")
    described: dict[str, Any] = {
        "name": name or saved["name"],
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
    priors.save(run.weights, saved["averaged"], described)
    write(run.card, card.text(described, settings))
    return run.weights
