"""A page of several benchmarks' reports: what more noise, or more time, does to a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .. import files, state
from ..admission import BASELINE
from .charts import Chart, Group, drawn
from .gather import versions
from .page import Page

LARGEST = 64 << 20  # bytes of a report


class Benchmark(msgspec.Struct):
    """What is read of a benchmark's report."""

    task: str
    mean: dict[str, float | None]
    options: dict[str, Any] = {}
    recipe: dict[str, Any] = {}
    tuning: dict[str, Any] = {}
    prior: str = ""
    nfe: int = 0
    images: list[dict[str, Any]] = []

    @property
    def fields(self) -> dict[str, Any]:
        """All that may set it apart from another."""
        return {"task": self.task, "prior": self.prior, **self.options, **self.recipe} | self.tuning


def swept(paths: Sequence[Path]) -> Page:
    """A page of several benchmarks' reports: each score against what was varied, and against cost.

    Raises:
        RestorekitError: if one cannot be read or is no report of a benchmark.
    """
    remedy = "give what `restorekit benchmark TASK FOLDER --json FILE` wrote"
    reports = [state.from_json(files.read(p, LARGEST), Benchmark, p, remedy) for p in paths]
    fields = [report.fields for report in reports]
    names = list(dict.fromkeys(name for each in fields for name in each))
    apart = [n for n in names if len({repr(each.get(n)) for each in fields}) > 1]
    across = next((n for n in apart if all(is_number(each.get(n)) for each in fields)), "")
    labels = [told(each, [n for n in apart if n != across]) or each["task"] for each in fields]
    if not across and len({*labels}) < len(labels):
        labels = [path.stem for path in paths]
    charts: list[Chart | None] = []
    for score in (n for n in reports[0].mean if BASELINE + n in reports[0].mean):
        if across:
            charts.append(against(across, score, reports, fields, labels))
        names = [f"{across} {each[across]:g}" if across else "" for each in fields]
        charts.append(cost_of(score, reports, labels, names))
    return Page(
        "Benchmarks compared",
        summary=[("reports", str(len(paths))), ("photos", photos_of(reports))],
        settings={path.name: each for path, each in zip(paths, fields, strict=True)} | versions(),
        charts=[chart for chart in charts if chart is not None],
    )


def told(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    """What sets a report apart, in words."""
    return ", ".join(f"{name} {fields[name]}" for name in names if fields.get(name) is not None)


def against(
    across: str,
    score: str,
    reports: Sequence[Benchmark],
    fields: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
) -> Chart | None:
    """A mean score over what was varied, a line for all reports that differ in nothing else."""
    found: dict[str, dict[float, float]] = {}
    for key, plain in ((score, False), (BASELINE + score, True)):
        for report, each, label in zip(reports, fields, labels, strict=True):
            if (value := report.mean.get(key)) is not None:
                of = "classical baseline" if plain else label
                found.setdefault(of, {})[float(each[across])] = value
    groups = []
    for label, points in found.items():
        x, y = zip(*sorted(points.items()), strict=True)
        groups.append(Group(label, x, y, plain=label == "classical baseline"))
    return drawn(f"{score} against {across}", across, score, groups, joined=True) if found else None


def cost_of(
    score: str, reports: Sequence[Benchmark], labels: Sequence[str], names: Sequence[str]
) -> Chart | None:
    """A mean score over the seconds that a megapixel took."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    for report, label, name in zip(reports, labels, names, strict=True):
        seconds, value = report.mean.get("seconds_per_megapixel"), report.mean.get(score)
        if seconds is not None and value is not None:
            group = f"{label}, NFE {report.nfe}"
            found.setdefault(group, []).append((seconds, value, name))
    groups = []
    for label, points in found.items():
        x, y, beside = zip(*points, strict=True)
        groups.append(Group(label, x, y, beside))
    title = f"{score} against cost"
    return drawn(title, "seconds a megapixel", score, groups, joined=False) if found else None


def photos_of(reports: Sequence[Benchmark]) -> str:
    """How many each was of."""
    return ", ".join(map(str, sorted({len(report.images) for report in reports})))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
