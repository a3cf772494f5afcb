"""Pages of photos compared, of scored files, and of a benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, images, metrics, plugins
from ..admission import BASELINE
from ..errors import RestorekitError
from ..images import Photo
from ..units import eight_bit
from . import pictures
from .charts import Group, drawn
from .page import Missing, Page, number
from .photos import Gallery, Shown, said_by

GAIN, CHANGE, COST = "gain, dB", "change", "seconds"
EXPLAINED = {
    GAIN: "PSNR after, less PSNR before",
    CHANGE: "root mean square of after less before, on 0..255",
}


def compared(matched: Sequence[tuple[str, Path, Path, Path | None]]) -> Page:
    """A page of (name, before, after, truth); with truths, scores and gains.

    Raises:
        RestorekitError: if the only photo cannot be read, or none can.
    """
    gallery, missing = Gallery(len(matched)), []
    for name, *paths in matched:
        try:
            before, after, truth = (images.read(path) if path else None for path in paths)
            assert before is not None and after is not None
            shown = {"before": Shown.of(before, paths[0]), "after": Shown.of(after, paths[1])}
            if truth is not None:
                shown["truth"] = Shown.of(truth, paths[2])
            figures = compared_figures(before, after, truth)
        except RestorekitError as error:
            if len(matched) == 1:
                raise
            missing.append(Missing(name, "failed", str(error), paths[1]))
            continue
        notes = () if truth or CHANGE in figures else ("before has another shape: not compared",)
        gallery.add(name, shown, figures=figures, notes=notes, facts=said_by(after))
    if not gallery.entries:
        raise RestorekitError(f"{matched[0][2]}: no photo of all could be read; check the paths")
    title = "Before and after" if len(matched) > 1 else f"{matched[0][0]}: before and after"
    return Page(
        title,
        gallery.entries,
        missing,
        summary_of(gallery, missing),
        {"restorekit": __version__},
        explained=EXPLAINED,
    )


def compared_figures(before: Photo, after: Photo, truth: Photo | None) -> dict[str, float]:
    """Scores against the truth and the gain; without it, what was changed."""
    one, other = pictures.flat(before), pictures.flat(after)
    if truth is None:
        return {CHANGE: pictures.change(one, other)} if pictures.alike(one, other) else {}
    measures = metrics.chosen(plugins.registry().offered("metric"))
    found = metrics.score(after.pixels, truth.pixels, measures)
    first: dict[str, float] = {}
    if pictures.alike(one, pictures.flat(truth)):
        size = (truth.pixels.shape[0], truth.pixels.shape[1])
        given = before.pixels if before.pixels.shape[:2] == size else pictures.enlarged(one, size)
        first = metrics.score(given, truth.pixels, measures)
    scored = found | {f"{name} before": value for name, value in first.items()}
    return gained(found.get("psnr"), first.get("psnr")) | scored


def gained(after: float | None, before: float | None) -> dict[str, float]:
    """In PSNR; nothing, where one of them is not known or both are infinite."""
    if after is None or before is None or math.isnan(after - before):
        return {}
    return {GAIN: after - before}


def evaluated(
    report: Mapping[str, Any], matched: Sequence[tuple[str, Path, Path | None]], how: dict[str, Any]
) -> Page:
    """A page of scored files: (name, restored, reference) of each row, and how they were scored."""
    gallery = Gallery(len(matched))
    for row, (name, restored, reference) in zip(report["images"], matched, strict=True):
        photo = images.read(restored)
        shown = {"after": Shown.of(photo, restored)}
        if reference is not None:
            shown["truth"] = Shown.of(images.read(reference), reference)
        scores = {k: v for k, v in row.items() if k != "name"}
        gallery.add(name, shown, figures=scores, facts=said_by(photo))
    means = [(f"mean {name}", number(value)) for name, value in report["mean"].items()]
    return Page(
        "Scores",
        gallery.entries,
        summary=[("photos", str(len(matched))), *means],
        settings={"scored": how, **versions()},
    )


class Trials:
    """Gathers what a benchmark makes of each photo.

    Args:
        count: of the photos.
        saved: the folder that its pictures go to; None, where they go nowhere.
    """

    def __init__(self, count: int, saved: Path | None = None) -> None:
        self.gallery, self.saved = Gallery(count), saved

    def __call__(self, row: Mapping[str, Any], made: Mapping[str, np.ndarray], clean: Path) -> None:
        """Takes in a photo: its row, and its pictures by what they are called there."""
        parts = {"degraded": "before", "baseline": "baseline", "restored": "after"}
        shown = {}
        for kind, pixels in made.items():
            file = self.saved and (self.saved / kind / row["name"]).with_suffix(".png")
            part = parts.get(kind, "truth")
            photo = Photo(eight_bit(pixels))
            shown[part] = Shown.of(photo, clean if part == "truth" else file)
        scores = {k: v for k, v in row.items() if k not in ("name", "megapixels")}
        figures = gained(row.get("psnr"), row.get(BASELINE + "psnr")) | scores
        self.gallery.add(row["name"], shown, figures=figures)


def tried(report: Mapping[str, Any], trials: Trials) -> Page:
    """A page of a benchmark: its report, and what was gathered."""
    entries = trials.gallery.entries
    scored = [e.figures for e in entries if math.isfinite(e.figures.get(GAIN, math.nan))]
    group = Group("photos", [f[COST] for f in scored], [f[GAIN] for f in scored])
    title = "Gain and cost of each photo"
    charts = [drawn(title, COST, GAIN, [group], joined=False)] if len(scored) > 1 else []
    means = [(f"mean {name}", number(value)) for name, value in report["mean"].items()]
    settings = {k: report[k] for k in ("task", "options", "recipe", "tuning", "prior", "nfe")}
    return Page(
        f"Benchmark: {report['task']}",
        entries,
        summary=[("photos", str(len(entries))), *means],
        settings={**settings, **versions()},
        charts=charts,
        explained={GAIN: "PSNR of the restored photo, less the classical baseline's"},
    )


def summary_of(gallery: Gallery, missing: Sequence[Missing]) -> list[tuple[str, str]]:
    """Counts, and the mean of every figure that all photos have."""
    entries = gallery.entries
    found: list[tuple[str, str]] = []
    if missing:
        found.append(("not shown", str(len(missing))))
    if len(entries) > 1:
        found.insert(0, ("photos", str(len(entries))))
        for name in entries[0].figures:
            if all(name in entry.figures for entry in entries):
                mean = sum(entry.figures[name] for entry in entries) / len(entries)
                found.append((f"mean {name}", number(mean)))
    return found


def versions() -> dict[str, Any]:
    """Of restorekit and of what its plugins come from."""
    return {"restorekit": __version__, "plugins": plugins.registry().versions}
