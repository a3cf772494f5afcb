"""Every task's own command, and its benchmark's, made from what the task says of itself."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import plugins
from ..errors import RestorekitError
from ..progress import Bar
from ..task import Task, resolve

if TYPE_CHECKING:
    from ..restorer import Choices

SOME_FAILED = 3
PATH = click.Path(path_type=Path)
FLAG: dict[str, Any] = {"is_flag": True}


def common_options(task: Task) -> list[click.Parameter]:
    """What every task understands."""
    modes = click.Choice(["fidelity", "perceptual"])
    precisions = click.Choice(["float32", "bfloat16", "float16"])
    return [
        click.Option(
            ["--mode"],
            type=modes,
            help="fidelity: best PSNR, deterministic (default). perceptual: posterior samples.",
        ),
        click.Option(
            ["--method"],
            help="How the photo conditions the prior: none, ddnm, diffpir, replace, pigdm, dps.",
        ),
        click.Option(
            ["--sampler"],
            help="Reverse step: ddpm, ddpm-large, ddim, ddim-eta1, dpmpp_2m, heun, hqs, snore.",
        ),
        click.Option(["--steps"], type=click.IntRange(1), help="Steps of the sampler."),
        click.Option(
            ["--prior"],
            help="Name of a prior, a weights file, or a training run's folder; "
            f"by default {task.prior}.",
        ),
        click.Option(["--seed"], type=int, default=0, show_default=True),
        click.Option(
            ["--device"], default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."
        ),
        click.Option(["--precision"], type=precisions, default="float32", show_default=True),
        click.Option(
            ["--ensemble"],
            **FLAG,
            help="Average the prior over 8 flips and turns: a little better, 8 times the cost.",
        ),
        click.Option(["--debug"], **FLAG, help="Show tracebacks."),
    ]


def choices_from(values: dict[str, Any], mode: str) -> Choices:
    """Takes the common options out of a command's values."""
    from ..restorer import Choices

    names = ("method", "sampler", "steps", "prior", "seed", "device", "precision", "ensemble")
    values.pop("debug")
    return Choices(mode=values.pop("mode") or mode, **{n: values.pop(n) for n in names})


def task_command(task: Task) -> click.Command:
    """`restorekit TASK INPUT... -o OUTPUT`."""
    from_photos: list[click.Parameter] = [
        click.Argument(["inputs"], nargs=-1, required=True, type=PATH, metavar="INPUT...")
    ]
    files: list[click.Parameter] = [
        click.Option(
            ["-o", "--output"],
            required=True,
            type=PATH,
            help="A file for one photo, a folder for several.",
        ),
        click.Option(
            ["--on-exists"],
            type=click.Choice(["error", "skip", "overwrite", "rename"]),
            default="error",
            show_default=True,
        ),
        click.Option(
            ["--samples"],
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="Write that many posterior samples, their mean and their deviation (x4).",
        ),
        click.Option(["--quiet"], **FLAG, help="Print errors only."),
    ]

    def command(**values: Any) -> None:
        samples, quiet = values.pop("samples"), values.pop("quiet")
        inputs, output = values.pop("inputs", ()), values.pop("output")
        on_exists = values.pop("on_exists")
        if samples > 1 and values["mode"] == "fidelity":
            raise RestorekitError("--samples needs --mode perceptual; fidelity has one answer")
        from .. import folder
        from ..restorer import Restorer

        choices = choices_from(values, "perceptual" if samples > 1 else "fidelity")
        options = resolve(task, values)
        jobs = folder.plan(inputs, output, samples)
        restorer = Restorer(task, choices)
        show = not quiet and sys.stderr.isatty()
        failures = 0
        for outcome in folder.run(
            jobs,
            restorer,
            on_exists=on_exists,
            progress=(lambda job: Bar(job.name)) if show else None,
            **options,
        ):
            if outcome.failure:
                failures += 1
                if len(jobs) == 1:
                    raise RestorekitError(outcome.failure) from outcome.error
                click.echo(f"failed: {outcome.failure}", err=True)
            elif not quiet:
                for note in outcome.notes:
                    click.echo(f"{outcome.job.name}: {note}", err=True)
                for path in outcome.written:
                    click.echo(str(path))
        if failures:
            click.echo(f"{failures} of {len(jobs)} photos failed", err=True)
            raise click.exceptions.Exit(SOME_FAILED)

    parameters = (from_photos if task.takes_photo else []) + files[:1]
    return click.Command(
        task.name,
        params=[*parameters, *task.options, *common_options(task), *files[1:]],
        callback=command,
        help=task.summary,
        short_help=task.summary,
    )


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
        click.Option(["--json", "json_file"], type=PATH, help="Also write the report here."),
        click.Option(["--save"], type=PATH, help="Write all pictures into this folder."),
        click.Option(["--quiet"], **FLAG, help="Print errors only."),
    ]

    def command(folder: Path, json_file: Path | None, **values: Any) -> None:
        from ..benchmark import benchmark
        from ..restorer import Restorer

        if not folder.is_dir():
            raise RestorekitError(f"{folder}: not a folder; give a folder of clean photos")
        if json_file is not None and not json_file.absolute().parent.is_dir():
            raise RestorekitError(f"{json_file}: its folder does not exist; make it first")
        extra = {n: values.pop(n) for n in ("luma", "crop_border", "save")}
        quiet = values.pop("quiet")
        choices = choices_from(values, "fidelity")
        restorer = Restorer(task, choices)
        columns = ["psnr", "ssim", "baseline_psnr", "baseline_ssim"]
        columns += ["hole_psnr", "baseline_hole_psnr"] if trial and trial.region else []

        def show(name: str, row: dict[str, Any], speed: float) -> None:
            numbers = "".join(f"{row[c]:>{max(8, len(c) + 1)}.4g}" for c in columns)
            click.echo(f"{name:24.24}{numbers}{speed:>9.2f}")

        def each(row: dict[str, Any]) -> None:
            show(row["name"], row, row["seconds"] / row["megapixels"])

        if not quiet:
            heads = "".join(f"{c:>{max(8, len(c) + 1)}}" for c in columns)
            click.echo(f"{'':24}{heads}{'s/MP':>9}")
        report = benchmark(restorer, folder, values, each=None if quiet else each, **extra)
        mean = report["mean"]
        if not quiet:
            show("mean", mean, mean["seconds_per_megapixel"])
            click.echo(f"network evaluations (NFE) per photo: {report['nfe']}")
        if json_file is not None:
            write_text(json_file, json.dumps(report, indent=1, default=str) + "\n")

    return click.Command(
        task.name, params=params, callback=command, help=f"Try on clean photos: {task.summary}"
    )


def write_text(path: Path, text: str) -> None:
    """Whole or not at all. Raises RestorekitError if it cannot be written."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise RestorekitError(f"{path}: {error.strerror}; choose another file") from error


class TaskCommands(click.Group):
    """A group whose further commands are the installed tasks."""

    def __init__(self, make: Callable[[Task], click.Command], **settings: Any) -> None:
        super().__init__(**settings)
        self.make = make

    def list_commands(self, ctx: click.Context) -> list[str]:
        own = super().list_commands(ctx)
        return [*sorted(set(plugins.registry().tasks) - set(own)), *own]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        task = plugins.registry().tasks.get(cmd_name)
        return None if task is None else self.make(task)
