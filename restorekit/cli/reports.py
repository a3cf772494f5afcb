"""`restorekit evaluate`: scores of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ..files import guarded
from ..options import Option
from .common import METRICS, PATH, check_whole, json_text
from .pages import checked, html


@click.command("evaluate")
@click.argument("restored", type=PATH)
@click.argument("reference", type=PATH, required=False)
@click.option(
    "--pairs",
    nargs=2,
    metavar="PATTERN PATTERN",
    help="Restored and reference of one folder, as '*_real.JPG' '*_mean.JPG': the star is what "
    "the names of a pair share.",
)
@click.option("--metrics", **METRICS)
@click.option("--luma", is_flag=True, help="Score BT.601 luma alone.")
@click.option("--crop-border", type=click.IntRange(0), default=0, help="Pixels not scored.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--html", "page", cls=Option, **html("every photo beside its reference"))
@click.option("--debug", cls=Option, once=True, is_flag=True, help="Show tracebacks.")
def evaluate(
    restored: Path,
    reference: Path | None,
    pairs: tuple[str, str] | None,
    metrics: list[str] | None,
    luma: bool,
    crop_border: int,
    as_json: bool,
    as_csv: bool,
    page: Path | None,
    debug: bool,
) -> None:
    """PSNR and SSIM of a restored photo, or of a folder's, matched to references by name.

    Metrics that need no reference, named with --metrics, score restored photos alone.
    """
    if (reference is None) == (pairs is None) and (pairs or not metrics):
        raise click.UsageError(
            "give either a REFERENCE or two patterns with --pairs, or --metrics that need neither"
        )
    from .. import evaluation

    matched: Sequence[tuple[str, Path, Path | None]]
    if pairs is not None:
        matched = evaluation.pairs_within(restored, *pairs)
    elif reference is not None:
        matched = evaluation.pairs(restored, reference)
    else:
        matched = evaluation.alone(restored)
    if page is not None:
        checked(page)
    report = evaluation.evaluate(matched, metrics=metrics, luma=luma, crop_border=crop_border)
    if page is not None:
        from ..report import evaluated, save_page

        how = {"luma": luma, "crop border": crop_border}
        with guarded(path for _, *paths in matched for path in paths if path):
            save_page(page, evaluated(report, matched, how), again=True)
    if as_json:
        click.echo(json_text(report))
    else:
        click.echo(evaluation.as_csv(report) if as_csv else evaluation.as_table(report), nl=False)
    check_whole(report["mean"])
