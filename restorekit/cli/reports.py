"""`restorekit evaluate`: scores of files."""

from __future__ import annotations

from pathlib import Path

import click

from ..files import guarded
from ..options import Option
from .common import PATH, html, json_text


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
    luma: bool,
    crop_border: int,
    as_json: bool,
    as_csv: bool,
    page: Path | None,
    debug: bool,
) -> None:
    """PSNR and SSIM of a restored photo, or of a folder's, matched to references by name."""
    if (reference is None) == (pairs is None):
        raise click.UsageError("give either a REFERENCE or two patterns with --pairs")
    from .. import evaluation

    if pairs is not None:
        matched = evaluation.pairs_within(restored, *pairs)
    else:
        assert reference is not None
        matched = evaluation.pairs(restored, reference)
    if page is not None:
        from ..report import check_page

        check_page(page, again=True)
    report = evaluation.evaluate(matched, luma=luma, crop_border=crop_border)
    if page is not None:
        from ..report import evaluated, save_page

        how = {"luma": luma, "crop border": crop_border}
        with guarded(path for _, *paths in matched for path in paths if path):
            save_page(page, evaluated(report, matched, how), again=True)
    if as_json:
        click.echo(json_text(report))
    else:
        click.echo(evaluation.as_csv(report) if as_csv else evaluation.as_table(report), nl=False)
