"""`restorekit benchmark TASK`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import plugins
from ..errors import RestorekitError
from ..files import guarded, write_report
from ..options import FILES, Option, always
from ..task import Task
from .common import FLAG, PATH, choices_from, common_options, html, json_text
from .help import Command

if TYPE_CHECKING:
    from ..report import Trials


def trial_command(task: Task) -> click.Command:
    """`restorekit benchmark TASK CLEAN_DIR`."""
    trial = task.trial
    params: list[click.Parameter] = [
        click.Argument(["folder"], type=PATH, metavar="CLEAN_DIR"),
        *task.options,
        *(trial.options if trial else ()),
        *common_options(task),
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
        from ..benchmark import benchmark
        from ..restorer import Restorer

        if not folder.is_dir():
            raise RestorekitError(f"{folder}: not a folder; give a folder of clean photos")
        if json_file is not None and not json_file.absolute().parent.is_dir():
            raise RestorekitError(f"{json_file}: its folder does not exist; make it first")
        trials = None if page is None else trials_for(page, folder, values["save"])
        extra = {n: values.pop(n) for n in ("luma", "crop_border", "save")}
        quiet = values.pop("quiet")
        choices = choices_from(values, "fidelity")
        restorer = Restorer(task, choices, values)
        measures = plugins.registry().offered("metric")
        columns = [*measures, *(f"baseline_{name}" for name in measures)]
        columns += ["hole_psnr", "baseline_hole_psnr"] if trial and trial.region else []

        def show(name: str, row: dict[str, Any], speed: float) -> None:
            numbers = "".join(f"{row[c]:>{max(8, len(c) + 1)}.4g}" for c in columns)
            click.echo(f"{name:24.24}{numbers}{speed:>9.2f}")

        def each(row: dict[str, Any]) -> None:
            show(row["name"], row, row["seconds"] / row["megapixels"])

        if not quiet:
            heads = "".join(f"{c:>{max(8, len(c) + 1)}}" for c in columns)
            click.echo(f"{'':24}{heads}{'s/MP':>9}")
        read = [path for path in folder.rglob("*") if path.is_file()]
        with guarded([*read, *restorer.prior_found.files]):
            report = benchmark(
                restorer,
                folder,
                values,
                each=None if quiet else each,
                gather=trials,
                **extra,
            )
            if json_file is not None:
                write_report(json_file, json_text(report) + "\n")
            if page is not None and trials is not None:
                from ..report import save_page, tried

                save_page(page, tried(report, trials), again=True)
        mean = report["mean"]
        if not quiet:
            show("mean", mean, mean["seconds_per_megapixel"])
            click.echo(f"network evaluations (NFE) per photo: {report['nfe']}")

    return Command(
        task.name, own=params, callback=command, help=f"Try on clean photos: {task.summary}"
    )


def trials_for(page: Path, folder: Path, saved: Path | None) -> Trials:
    """What gathers a page. Raises RestorekitError where it cannot be written."""
    from .. import images, report

    report.check_page(page, again=True)
    return report.Trials(len(images.below(folder)), saved)
