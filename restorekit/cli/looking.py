"""`restorekit compare`, `contact` and `benchmark --compare`: what was done, to be looked at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .. import files
from ..errors import RestorekitError
from ..options import FILES, Option
from .common import PATH, debug_option, shown
from .help import Command
from .tasks import TaskCommands


def overwrite_option() -> Option:
    return Option(
        ["--overwrite"],
        is_flag=True,
        once=True,
        heading=FILES,
        help="Replace what is there under that name.",
    )


def output_option(what: str) -> Option:
    return Option(["-o", "--output"], required=True, type=PATH, once=True, help=what)


def compare(
    before: Path, after: Path, truth: Path | None, output: Path, overwrite: bool, debug: bool
) -> None:
    """Write a page that shows photos before and after, in one file that opens offline.

    Two photos, or two folders whose photos match by name; with TRUTH, which they are to be like,
    it has scores and gains. A slider between the two, zoom and pan in common, the difference
    amplified.
    """
    from .. import report
    from ..evaluation import pairs

    report.check_page(output, overwrite=overwrite)
    truths = {} if truth is None else {name: other for name, _, other in pairs(after, truth)}
    matched = [(name, one, other, truths.get(name)) for name, other, one in pairs(after, before)]
    with files.guarded(path for _, *paths in matched for path in paths if path):
        report.save_page(output, report.compared(matched), overwrite=overwrite)
    click.echo(shown(output))


def contact(
    before: Path,
    after: Path | None,
    output: Path,
    columns: int,
    rows: int,
    side: int,
    overwrite: bool,
    debug: bool,
) -> None:
    """Write contact sheets: photos before and after, side by side, with their names.

    FOLDER is what a folder run wrote, whose own record knows the photos before; or name both,
    BEFORE and AFTER, whose photos match by name. Of several sheets each has its number in its name.
    """
    from .. import images, report
    from ..evaluation import pairs

    if after is None:
        matched = report.pairs_of_run(before)
    else:
        matched = [(name, one, other) for name, other, one in pairs(after, before)]
    count = -(-len(matched) // (columns * rows))
    targets = [output] if count == 1 else numbered(output, count)
    for target in targets:
        images.check_writable(target)
        files.check_target(target)
        if os.path.lexists(target) and not overwrite:
            raise RestorekitError(f"{target}: exists; name another file, or use --overwrite")
    with files.guarded(path for _, *paths in matched for path in paths):
        made = report.sheets(matched, columns=columns, rows=rows, side=side)
        for target, sheet in zip(targets, made, strict=True):
            images.write(target, images.Photo(sheet), replace=overwrite)
            click.echo(shown(target))


def numbered(output: Path, count: int) -> list[Path]:
    """sheet-1.png, sheet-2.png, ..."""
    return [output.with_stem(f"{output.stem}-{number}") for number in range(1, count + 1)]


def sweep(reports: tuple[Path, ...], output: Path, overwrite: bool, debug: bool) -> None:
    """Write a page of charts over several benchmarks: scores against what was varied, and cost."""
    from .. import report

    report.check_page(output, overwrite=overwrite)
    with files.guarded(reports):
        report.save_page(output, report.swept(reports), overwrite=overwrite)
    click.echo(shown(output))


class Benchmarks(TaskCommands):
    """`restorekit benchmark`, a task's or, with --compare, of reports that there are already."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if ctx.params.get("compare"):
            return "--compare", sweep_command(), args
        return super().resolve_command(ctx, args)


def compare_option() -> Option:
    """Of `restorekit benchmark`."""
    return Option(
        ["--compare"],
        is_flag=True,
        once=True,
        expose_value=True,
        help="REPORT.json... -o PAGE.html: charts over what --json wrote, of several benchmarks.",
    )


def sweep_command() -> click.Command:
    return Command(
        "--compare",
        own=[
            click.Argument(["reports"], nargs=-1, required=True, type=PATH, metavar="REPORT..."),
            output_option("The page, PAGE.html."),
            overwrite_option(),
            debug_option(),
        ],
        callback=sweep,
        help=sweep.__doc__,
    )


def commands() -> list[click.Command]:
    """`restorekit compare` and `restorekit contact`."""

    def number(name: str, least: int, most: int, default: int, words: str) -> Option:
        kind = click.IntRange(least, most)
        return Option([name], type=kind, default=default, show_default=True, help=words)

    places: Sequence[Any] = [
        click.Argument(["before"], type=PATH),
        click.Argument(["after"], type=PATH),
        click.Argument(["truth"], type=PATH, required=False),
    ]
    return [
        Command(
            "compare",
            own=[
                *places,
                output_option("The page, PAGE.html."),
                overwrite_option(),
                debug_option(),
            ],
            callback=compare,
            help=compare.__doc__,
            short_help="Show photos before and after, on a page.",
        ),
        Command(
            "contact",
            own=[
                click.Argument(["before"], type=PATH, metavar="FOLDER|BEFORE"),
                click.Argument(["after"], type=PATH, required=False),
                output_option("The sheet, a picture."),
                number("--columns", 1, 20, 3, "Of photos, each before and after."),
                number("--rows", 1, 100, 6, "On a sheet."),
                number("--side", 32, 2048, 240, "The longest of a photo, in pixels."),
                overwrite_option(),
                debug_option(),
            ],
            callback=contact,
            help=contact.__doc__,
            short_help="Photos before and after, many on a sheet.",
        ),
    ]
