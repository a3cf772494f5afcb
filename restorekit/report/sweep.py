"""A page of several benchmarks' reports: what more noise, or more time, does to a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from .. import files, state
from .charts import Chart, Line, lines, points
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
    labels = [told(each, [n for n in apart if n != across]) for each in fields]
    points_of = labels
    if across:
        pairs = zip(labels, fields, strict=True)
        points_of = [f"{label} {across} {each[across]:g}".strip() for label, each in pairs]
    elif len({*labels}) < len(labels):
        points_of = [path.stem for path in paths]
    charts: list[Chart | None] = []
    for score in (n for n in reports[0].mean if f"baseline_{n}" in reports[0].mean):
        if across:
            charts.append(against(across, score, reports, fields, labels))
        charts.append(cost_of(score, reports, points_of))
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
    groups: dict[str, dict[float, float]] = {}
    baseline = "classical baseline"
    for report, each, label in zip(reports, fields, labels, strict=True):
        for name, key in ((label or report.task, score), (baseline, f"baseline_{score}")):
            if (value := report.mean.get(key)) is not None:
                groups.setdefault(name, {})[float(each[across])] = value
    drawn = [
        Line(name, [x for x, _ in sorted(found.items())], [y for _, y in sorted(found.items())],
             dashed=name == baseline)
        for name, found in groups.items()
    ]  # fmt: skip
    return lines(f"{score} against {across}", across, score, drawn) if drawn else None


def cost_of(score: str, reports: Sequence[Benchmark], labels: Sequence[str]) -> Chart | None:
    """A mean score over the seconds a megapixel took."""
    drawn = []
    for report, label in zip(reports, labels, strict=True):
        seconds, value = report.mean.get("seconds_per_megapixel"), report.mean.get(score)
        if seconds is not None and value is not None:
            drawn.append((f"{label or report.task} (NFE {report.nfe})", seconds, value))
    title = f"{score} against cost"
    return points(title, "seconds a megapixel", score, drawn, named=True) if drawn else None


def photos_of(reports: Sequence[Benchmark]) -> str:
    """How many each was of."""
    return ", ".join(map(str, sorted({len(report.images) for report in reports})))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
