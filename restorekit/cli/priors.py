"""`restorekit priors`: which priors there are, and how good they are."""

from __future__ import annotations

from pathlib import Path

import click

from .. import plugins
from ..errors import RestorekitError
from ..files import text, write_report
from ..options import Option, always
from .common import PATH, json_text, shown
from .help import Group
from .listing import options_of, show_options

UNSOUND = 4


@click.group("priors", cls=Group)
def priors_group() -> None:
    """The priors there are."""


@priors_group.command("list")
def priors_list() -> None:
    """Names and files of all priors, those that you have imported among them."""
    from ..loading import find_prior, offered_priors

    for name, given in sorted(offered_priors().items()):
        path = given if isinstance(given, Path) else None
        if path is not None and not path.exists():  # a plugin may promise what is not there
            click.echo(f"{name:16} {'missing':>9}  {path}")
            continue
        try:
            prior = find_prior(name)
        except RestorekitError as error:
            click.echo(shown(f"{name:16} {'unusable':>9}  {error}"))
            continue
        size = sum(file.stat().st_size for file in prior.files if file.exists())
        where = path or next(iter(prior.files), "in memory")
        click.echo(f"{name:16} {size / 1e6:6.1f} MB  {where}")


@priors_group.command("import")
@click.argument("path", type=PATH)
@click.option("--name", required=True, help="What --prior is to take for it.")
@click.option(
    "--overwrite",
    cls=Option,
    is_flag=True,
    once=True,
    help="Replace one that was imported under that name.",
)
@click.option("--debug", cls=Option, once=True, is_flag=True, help="Show tracebacks.")
def priors_import(path: Path, name: str, overwrite: bool, debug: bool) -> None:
    """Keep a prior under a name: a copy of a weights file, or of a folder that a plugin opens."""
    from ..loading import prior_at
    from ..priors import own

    if name in plugins.registry().offered("prior"):
        raise RestorekitError(f"a plugin has a prior {name!r} already; use another name")
    click.echo(shown(own.keep(prior_at(path), path, name, overwrite)))


@priors_group.command("remove")
@click.argument("name")
def priors_remove(name: str) -> None:
    """Delete a prior that was imported."""
    from ..priors import own

    click.echo(shown(f"{own.forget(name)}: removed"))


@priors_group.command("show")
@click.argument("name")
def priors_show(name: str) -> None:
    """What a prior is: its card, or what its weights file says; and the options --with sets."""
    from ..loading import find_prior

    prior = find_prior(name)
    cards = (file.with_suffix(".md") for file in prior.files)
    card = next((card for card in cards if card.exists()), None)
    options = options_of(prior.load)
    if card is None:
        click.echo(json_text({"name": prior.name, **prior.described, "options": options}))
        return
    click.echo(text(card))
    show_options(options)


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
    from ..loading import find_prior

    found = bits(
        find_prior(name),
        pictures,
        terms=terms,
        limit=limit,
        device=device,
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
    from .. import soundness
    from ..loading import find_device, find_prior, load_prior, of_pixels

    on = find_device(device)
    denoiser = load_prior(find_prior(name), on, "float32")
    of_pixels(denoiser, name)
    pictures = soundness.photos_for(denoiser, photos)
    click.echo(soundness.HEADING)
    rows = []
    for row in soundness.check(denoiser, pictures, safe=safe, device=on):
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
