"""The end of a run: its averaged weights as a prior, with a model card."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from .. import priors
from ..errors import RestorekitError
from ..files import write
from . import card
from .run import Run

ATTRIBUTION = "ATTRIBUTION.tsv"  # file, licence, author, source: in the data folder, if at all


def export(run: Run, name: str = "prior", data: Path | None = None) -> Path:
    """Writes the averaged weights of a run's checkpoint in half precision, and their card.

    Args:
        name: of the prior.
        data: the photos; where they come with an ATTRIBUTION.tsv (columns file, licence, author,
            source), it is copied beside the weights and summed up in the card.

    Raises:
        RestorekitError: if there is no checkpoint.
    """
    if not run.checkpoint.exists():
        raise RestorekitError(f"{run.folder}: has no checkpoint yet; train first")
    settings, saved = run.settings, run.load("cpu")
    everything = settings.as_dict()
    loading = ("network", "schedule", "parametrisation", "sigma_data")
    described: dict[str, Any] = {
        "name": name,
        **{key: everything[key] for key in loading},
        "training": everything,
        "steps": saved["step"],
        "minutes": round(saved["elapsed"] / 60, 1),
        "photos": saved["photos"],
        "started_from": saved["started_from"],
        "scores": run.last_scores(),
        "licences": {},
    }
    source = None if data is None else data / ATTRIBUTION
    if source is not None and source.exists():
        shutil.copyfile(source, run.folder / "prior-attribution.tsv")
        with open(source, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter="\t")
            described["licences"] = dict(Counter(row["licence"] for row in rows).most_common())
    priors.save(run.weights, saved["averaged"], described)
    write(run.card, card.text(described, settings))
    return run.weights
