"""Whose photos a run was trained on, as its folder keeps it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

from ..errors import RestorekitError
from ..files import read, text, write
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
