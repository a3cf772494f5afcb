"""Restoring files from the command line: one, several, or a folder tree."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from .. import files
from ..errors import RestorekitError
from ..options import MOST_SAMPLES, RESEARCH, Number, Option, always
from ..progress import Bar, FolderBar, on_terminal
from .common import FLAG, PATH, SOME_FAILED, shown
from .pages import html, page_of
from .shards import Shard, of_shard, shard_of_process
from .tally import Tally

if TYPE_CHECKING:
    from ..folder import Engine, Runner, Spec
    from ..folder.plan import Job


def inputs_argument(required: bool = True) -> click.Argument:
    return click.Argument(["inputs"], nargs=-1, required=required, type=PATH, metavar="INPUT...")


def output_option() -> click.Option:
    return Option(
        ["-o", "--output"],
        required=True,
        type=PATH,
        once=True,
        help="A file for one photo, a folder for several.",
    )


def samples_option() -> click.Option:
    return Option(
        ["--samples"],
        heading=RESEARCH,
        type=click.IntRange(1, MOST_SAMPLES),
        default=1,
        show_default=True,
        help="Write that many posterior samples (NAME-1, ...), their mean (NAME-mean) and a map of "
        "where they differ, four times amplified (NAME-deviation).",
    )


def names_a_format(typed: Mapping[str, Any]) -> bool:
    """Whether the output that was asked for has a format's suffix."""
    from .. import images

    return "output" in typed and typed["output"].suffix.lower() in images.KINDS


def folder_options() -> list[click.Option]:
    """What matters for several photos alone."""
    return [
        click.Option(
            ["--include"], multiple=True, metavar="GLOB", help="Only photos that match, as '*.tif'."
        ),
        click.Option(["--exclude"], multiple=True, metavar="GLOB", help="No photos that match."),
        Option(
            ["--format", "suffix"],
            gives_way=names_a_format,
            type=click.Choice(["png", "jpg", "tif", "webp", "bmp", "avif"]),
            help="Write all photos in one format instead of their own.",
        ),
        click.Option(
            ["--shard"],
            type=Shard(),
            help="Restore the I-th of N parts of the folder, by the photos' names; under torchrun "
            "each process has its own.",
        ),
        Option(["--dry-run"], **FLAG, once=True, help="List what would be done, and do nothing."),
        Option(
            ["--retry-failed"],
            **FLAG,
            once=True,
            help="Only try again what failed in the last run.",
        ),
        click.Option(
            ["--verify"], **FLAG, help="Read what is done already, and make damaged files anew."
        ),
        click.Option(
            ["--engine"],
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Restore in this process, or on the Ray cluster that runs here or that "
            "RAY_ADDRESS names.",
        ),
        click.Option(
            ["--workers"],
            type=click.IntRange(1),
            help="Of --engine ray; by default one for each GPU of the cluster, or for every 4 "
            "CPUs if it has none.",
        ),
        Option(
            ["--report"],
            type=PATH,
            risky=always,
            help="Write what became of each photo here, as JSON lines; the I-th shard into NAME-I.",
        ),
        Option(["--html", "page"], **html("each photo before and after")),
    ]


def file_options() -> list[click.Option]:
    """How files are read and written, one or many."""
    return [
        Option(
            ["--on-exists"],
            risky=lambda choice: choice == "overwrite",
            type=click.Choice(["error", "skip", "overwrite", "rename"]),
            default="error",
            show_default=True,
            help="What to do about a file that is there and is not this run's own.",
        ),
        click.Option(
            ["--quality"],
            type=click.IntRange(1, 100),
            help="Of JPEG, WebP and AVIF; by default 95, and a finer JPEG's own.",
        ),
        click.Option(
            ["--bit-depth"],
            type=click.Choice(["8", "16"]),
            help="Of the output, by default the photo's own.",
        ),
        click.Option(
            ["--strip-metadata"], **FLAG, help="Leave out EXIF, XMP and DPI; colours stay true."
        ),
        click.Option(
            ["--provenance/--no-provenance"],
            default=True,
            help="Say in the file's XMP what made it: task, options, prior. By default it does.",
        ),
        click.Option(
            ["--max-megapixels"],
            type=Number(0, 1e6, min_open=True),
            default=178,
            show_default=True,
            help="Refuse larger photos.",
        ),
        click.Option(["--quiet"], **FLAG, help="Print errors only."),
    ]


def restore_files(
    spec: Spec,
    device: str,
    inputs: Sequence[Path],
    output: Path,
    samples: int,
    *,
    on_exists: str,
    quality: int | None,
    bit_depth: str | None,
    strip_metadata: bool,
    provenance: bool,
    max_megapixels: float,
    quiet: bool,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    suffix: str | None = None,
    shard: tuple[int, int] | None = None,
    dry_run: bool = False,
    retry_failed: bool = False,
    verify: bool = False,
    report: Path | None = None,
    page: Path | None = None,
    engine: str = "local",
    workers: int | None = None,
    foreseen: Callable[[Job], str] | None = None,
) -> None:
    """Plans, restores and tells; ends with exit code 3 where some of several photos failed.

    Args:
        foreseen: what a dry run says of each photo, where what is done to them differs.
    """
    from .. import folder

    selection = folder.Selection(
        include, exclude, shard or shard_of_process(), f".{suffix}" if suffix else None
    )
    plan = folder.plan(inputs, output, samples, selection, spec.extras)
    if retry_failed and plan.folder is None:
        raise RestorekitError("--retry-failed needs a folder of photos")
    if engine == "ray" and plan.folder is None:
        raise RestorekitError("--engine ray needs a folder of photos")
    if engine != "ray" and workers is not None:
        raise RestorekitError("--workers goes with --engine ray")
    where = engine_of(engine, device, workers)
    # On a cluster the device is the workers'; this process only plans.
    spec = spec.on("cpu" if engine == "ray" else device)
    with contextlib.ExitStack() as stack:
        restoring = spec.opened()
        read = [*folder.read_by(spec, plan.jobs), *restoring.priors]
        stack.enter_context(files.guarded(read))
        manifest = None if plan.folder is None else folder.Manifest(plan.folder, spec.name)
        if manifest and not dry_run:
            stack.enter_context(manifest.opened(selection.shard))
        rows = None
        if report is not None and not dry_run:
            rows = stack.enter_context(opened(report, selection.shard))
        tally = Tally(rows, quiet)
        how = folder.Files(
            quality,
            int(bit_depth) if bit_depth else None,
            strip_metadata,
            provenance,
            max_megapixels,
        )
        shop = folder.Workshop(restoring, how)
        runner = folder.Runner(
            shop, on_exists=on_exists, manifest=manifest, taken=plan.targets, verify=verify
        )
        gathered = None
        if page is not None and not dry_run:
            gathered = page_of(
                of_shard(page, selection.shard),
                f"{spec.name}: {output}",
                shop,
                len(plan.jobs),
                manifest,
            )
        jobs = [j for j in plan.jobs if not retry_failed or (manifest and manifest.failed(j))]
        if dry_run:
            for line in () if quiet else plan.left_out:
                click.echo(shown(line), err=True)
            for problem in plan.problems:
                click.echo(shown(f"would fail: {problem}"), err=True)
            failing = [job for job in jobs if not would_do(runner, job, foreseen)]
            if failing or plan.problems:
                raise click.exceptions.Exit(SOME_FAILED)
            return
        part, parts = selection.shard
        if parts > 1 and not quiet:
            click.echo(f"part {part} of {parts}: {len(jobs)} photos", err=True)
        bar = stack.enter_context(FolderBar(len(jobs), quiet or len(jobs) < 2))
        if len(jobs) == 1 and not quiet and on_terminal():
            steps = Bar(jobs[0].name)
            stack.callback(steps.close)
            shop.progress = steps
        for problem in plan.problems:
            tally.unreadable(problem)
            if gathered is not None:
                gathered.unreadable(problem)
        for outcome in stack.enter_context(contextlib.closing(runner.run(jobs, where))):
            alone = outcome.failure and plan.folder is None
            with bar.aside():
                tally(outcome, told=not alone)
            if alone:
                raise RestorekitError(outcome.failure) from outcome.error
            if gathered is not None:
                gathered(outcome)
            bar(outcome.megapixels, outcome.job.name, bool(outcome.failure))
        if gathered is not None:
            try:
                gathered.save()
            except RestorekitError as error:  # the photos are there all the same
                tally.broken = str(error)
    if plan.folder is not None:
        for line in () if quiet else plan.left_out:
            click.echo(shown(line), err=True)
        tally.sum_up()
    if tally.skipped > tally.done and not tally.restored and not tally.failed:
        click.echo("nothing was restored: other files are there already", err=True)
        raise click.exceptions.Exit(SOME_FAILED)
    if tally.broken:
        raise RestorekitError(tally.broken)
    if tally.failed:
        raise click.exceptions.Exit(SOME_FAILED)


def would_do(runner: Runner, job: Job, foreseen: Callable[[Job], str] | None) -> bool:
    """Shows what a run would do with a photo; False where that is to fail, which it tells."""
    try:
        lines = [f"{target}: {text}" for target, text in runner.preview(job, foreseen)]
    except RestorekitError as error:
        click.echo(shown(f"{job.source} -> {job.target}: would fail: {error}"))
        return False
    for line in lines:
        click.echo(shown(f"{job.source} -> {line}"))
    return True


def opened(report: Path, shard: tuple[int, int]) -> BinaryIO:
    """A report's file; each shard has its own, photos.jsonl of the first: photos-1.jsonl.

    Raises:
        RestorekitError: if it cannot be written, or something else is there.
    """
    return files.report(of_shard(report, shard))


def engine_of(name: str, device: str, workers: int | None) -> Engine:
    """Where photos are restored."""
    if name == "ray":
        from ..folder.cluster import Cluster

        return Cluster(device, workers)
    from ..folder import local

    return local.run
