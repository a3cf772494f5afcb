"""`restorekit benchmark TASK`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import plugins
from ..admission import BASELINE
from ..errors import RestorekitError
from ..files import guarded, write_report
from ..options import FILES, Option, always
from ..task import Task
from .common import FLAG, METRICS, PATH, check_whole, choices_from, common_options, json_text
from .help import Command
from .pages import html, trials_for

if TYPE_CHECKING:
    from ..metrics import Metric


def starred(row: Mapping[str, float], measures: Mapping[str, Metric]) -> set[str]:
    """Of each metric's two columns, the restored picture's and the baseline's, the better one."""
    from ..metrics import better

    best = set()
    for name, metric in measures.items():
        ours, theirs = row[name], row[BASELINE + name]
        if better(metric, ours, theirs):
            best.add(name)
        elif better(metric, theirs, ours):
            best.add(BASELINE + name)
    return best


def trial_command(task: Task) -> click.Command:
    """`restorekit benchmark TASK CLEAN_DIR`."""
    trial = task.trial
    params: list[click.Parameter] = [
        click.Argument(["folder"], type=PATH, metavar="CLEAN_DIR"),
        *task.options,
        *(trial.options if trial else ()),
        *common_options(task),
        click.Option(["--metrics"], **METRICS),
        click.Option(["--luma/--rgb"], default=None, help="Score on luma, or on all channels."),
        click.Option(["--crop-border"], type=click.IntRange(0), help="Pixels not scored."),
        Option(
            ["--json", "json_file"],
            type=PATH,
            heading=FILES,
            risky=always,
            help="Also write the report here.",
        ),
        Option(
            ["--save"],
            type=PATH,
            heading=FILES,
            risky=always,
            help="Write all pictures into this folder.",
        ),
        Option(
            ["--html", "page"], **html("each photo degraded, restored and clean"), heading=FILES
        ),
        Option(["--quiet"], **FLAG, heading=FILES, help="Print errors only."),
    ]

    def command(folder: Path, json_file: Path | None, page: Path | None, **values: Any) -> None:
        from .. import metrics
        from ..benchmark import benchmark
        from ..restorer import Restorer

        if not folder.is_dir():
            raise RestorekitError(f"{folder}: not a folder; give a folder of clean photos")
        if json_file is not None and not json_file.absolute().parent.is_dir():
            raise RestorekitError(f"{json_file}: its folder does not exist; make it first")
        trials = None if page is None else trials_for(page, folder, values["save"])
        extra = {n: values.pop(n) for n in ("luma", "crop_border", "save")}
        quiet = values.pop("quiet")
        offered = plugins.registry().offered("metric")
        measures = metrics.chosen(offered, values.pop("metrics"))
        choices = choices_from(values, "fidelity")
        restorer = Restorer(task, choices, values)
        compared = {**measures}
        columns = [*measures, *(BASELINE + name for name in measures)]
        if trial and trial.region:
            compared["hole_psnr"] = metrics.psnr
            columns += ["hole_psnr", BASELINE + "hole_psnr"]
        widths = {c: max(8, len(c) + 2) for c in columns}

        def show(name: str, row: dict[str, Any], speed: float) -> None:
            best = starred(row, compared)
            cells = (f"{row[c]:.4g}{'*' if c in best else ' '}" for c in columns)
            numbers = "".join(f"{c:>{w}}" for c, w in zip(cells, widths.values(), strict=True))
            click.echo(f"{name:24.24}{numbers}{speed:>9.2f}")

        def each(row: dict[str, Any]) -> None:
            show(row["name"], row, row["seconds"] / row["megapixels"])

        if not quiet:
            heads = "".join(f"{c + ' ':>{w}}" for c, w in widths.items())
            click.echo(f"{'':24}{heads}{'s/MP':>9}")
        read = [path for path in folder.rglob("*") if path.is_file()]
        with guarded([*read, *restorer.read]):
            how = {"measures": measures, "each": None if quiet else each, **extra}
            report = benchmark(restorer, folder, values, gather=trials, **how)
            if json_file is not None:
                write_report(json_file, json_text(report) + "\n")
            if page is not None and trials is not None:
                from ..report import save_page, tried

                save_page(page, tried(report, trials), again=True)
        mean = report["mean"]
        if not quiet:
            show("mean", mean, mean["seconds_per_megapixel"])
            click.echo("*: the better of the two, restored or baseline")
            click.echo(f"network evaluations (NFE) per photo: {report['nfe']}")
        check_whole(mean)

    return Command(
        task.name, own=params, callback=command, help=f"Try on clean photos: {task.summary}"
    )
