"""Commands that restore nothing: scores of files, and the priors that are installed."""

from __future__ import annotations

from pathlib import Path

import click

from .. import plugins
from ..errors import RestorekitError
from ..files import text, write_report
from ..options import Option, always
from .common import PATH, json_text
from .help import Group

UNSOUND = 4


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
@click.option("--debug", cls=Option, once=True, is_flag=True, help="Show tracebacks.")
def evaluate(
    restored: Path,
    reference: Path | None,
    pairs: tuple[str, str] | None,
    luma: bool,
    crop_border: int,
    as_json: bool,
    as_csv: bool,
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
    report = evaluation.evaluate(matched, luma=luma, crop_border=crop_border)
    if as_json:
        click.echo(json_text(report))
    else:
        click.echo(evaluation.as_csv(report) if as_csv else evaluation.as_table(report), nl=False)


@click.group("priors", cls=Group)
def priors_group() -> None:
    """The priors there are."""


@priors_group.command("list")
def priors_list() -> None:
    """Names and files of all installed priors."""
    for name, path in sorted(plugins.registry().offered("prior").items()):
        try:
            size = f"{path.stat().st_size / 1e6:6.1f} MB"
        except OSError:  # a plugin may promise what is not there
            size = "missing"
        click.echo(f"{name:16} {size:>9}  {path}")


@priors_group.command("show")
@click.argument("name")
def priors_show(name: str) -> None:
    """What a prior is: its card, or what its weights file says."""
    from .. import priors
    from ..loading import find_prior

    path = find_prior(name)
    described = priors.read_metadata(path)
    card = path.with_suffix(".md")
    click.echo(text(card) if card.exists() else json_text(described))


@priors_group.command("bits")
@click.argument("name")
@click.argument("pictures", type=PATH)
@click.option(
    "--terms",
    type=click.IntRange(2),
    default=100,
    show_default=True,
    help="Terms of the bound that are evaluated.",
)
@click.option("--limit", type=click.IntRange(1), help="Take that many pictures at most.")
@click.option("--device", default="auto", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
)
@click.option("--debug", cls=Option, once=True, is_flag=True, help="Show tracebacks.")
def priors_bits(
    name: str,
    pictures: Path,
    terms: int,
    limit: int | None,
    device: str,
    precision: str,
    debug: bool,
) -> None:
    """Bits per dimension that a prior needs for pictures: the variational bound."""
    from ..evaluation import bits
    from ..loading import find_device, find_prior

    found = bits(
        find_prior(name),
        pictures,
        terms=terms,
        limit=limit,
        device=str(find_device(device)),
        precision=precision,
    )
    click.echo(
        f"{found.mean:.4f} bits per dimension, standard error {found.error:.4f}, "
        f"{found.pictures} pictures of {found.side} x {found.side}"
    )


@priors_group.command("check")
@click.argument("name", metavar="PRIOR")
@click.argument("photos", type=PATH, required=False)
@click.option(
    "--safe",
    is_flag=True,
    help="Ask as an unsound prior is asked: about pictures with further noise, twice.",
)
@click.option(
    "--json",
    "json_file",
    cls=Option,
    type=PATH,
    risky=always,
    help="Also write the report here.",
)
@click.option("--device", default="auto", show_default=True)
@click.option("--debug", cls=Option, once=True, is_flag=True, help="Show tracebacks.")
def priors_check(
    name: str, photos: Path | None, safe: bool, json_file: Path | None, device: str, debug: bool
) -> None:
    """Is a prior sound? Asks it about less noise than it is told, none, and of other kinds.

    On eight of PHOTOS, a folder of clean ones, or on pictures of its own. The columns: levels on
    0..255; PSNR over the input's, or the answer's own where no noise was there; error of the answer
    and shift of an 8 x 8 block's mean, both as a share of the level told. Exit code 4: unsound.
    """
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise RestorekitError(f"{json_file}: its folder does not exist; make it first")
    from .. import priors, soundness
    from ..loading import find_device, find_prior

    denoiser = priors.load(find_prior(name), find_device(device))
    pictures = soundness.photos_for(denoiser, photos)
    click.echo(soundness.HEADING)
    rows = []
    for row in soundness.check(denoiser, pictures, safe=safe):
        click.echo(soundness.line(row))
        rows.append(row)
    sound = all(row.sound for row in rows)
    click.echo(f"{name}: {soundness.verdict(rows)}")
    if not (sound or safe or denoiser.bound):
        click.echo(
            "it was trained to be told no more noise than there is: denoise adds some (--safe)"
        )
    if json_file is not None:
        report = {"prior": name, "safe": safe, "sound": sound, "limits": soundness.LIMITS}
        report |= {"rows": [row.as_dict() for row in rows]}
        write_report(json_file, json_text(report) + "\n")
    if not sound:
        raise click.exceptions.Exit(UNSOUND)
