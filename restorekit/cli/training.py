"""`restorekit train`."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

import click

from ..errors import RestorekitError
from ..options import Number, Option, always
from ..progress import TrainingBar
from ..units import YEAR
from .common import PATH


@click.command("train")
@click.argument("data", type=PATH, required=False)
@click.option(
    "-o",
    "--output",
    cls=Option,
    once=True,
    required=True,
    type=PATH,
    help="Folder of the run; resumed if old.",
)
@click.option(
    "--preset",
    default="photo-b",
    show_default=True,
    help="A prior's: photo-b, photo-s, scene64, cifar10; of what finds damage, damage; of what "
    "estimates noise, noise_level; of what superres begins with, enlargement; "
    "and dejpeg, dequantisation.",
)
@click.option("--config", type=PATH, help="TOML file of settings over the preset.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change one setting.")
@click.option(
    "--time-budget",
    type=Number(0, YEAR, min_open=True),
    help="Minutes to train, over all resumptions; decoding and validations come on top.",
)
@click.option(
    "--pause-after",
    type=Number(0, YEAR, min_open=True),
    help="Minutes after which to stop for now; run again to go on.",
)
@click.option("--init", help="Weights to start from: a name, as --prior has it, a file or a run.")
@click.option(
    "--marks",
    type=PATH,
    help="With --preset damage: real marks to draw, scans/*.json.gz and overlays/*/*.png.",
)
@click.option(
    "--cache",
    cls=Option,
    type=PATH,
    risky=always,
    help="Where the photos are kept decoded; runs may share it.",
)
@click.option(
    "--save-every",
    type=Number(0, 60 * YEAR),
    default=60,
    show_default=True,
    help="Seconds between checkpoints.",
)
@click.option(
    "--validate-every",
    type=Number(0, 60 * YEAR),
    default=600,
    show_default=True,
    help="Seconds between validations.",
)
@click.option("--export", is_flag=True, help="Only write the weights that the run has come to.")
@click.option("--name", help="Name on the model card. --prior takes the folder of the run.")
@click.option("--device", default="auto", show_default=True)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.option("--debug", cls=Option, once=True, is_flag=True, help="Show tracebacks.")
def train(
    data: Path | None,
    output: Path,
    preset: str,
    config: Path | None,
    changes: tuple[str, ...],
    time_budget: float | None,
    pause_after: float | None,
    init: str | None,
    marks: Path | None,
    cache: Path | None,
    save_every: float,
    validate_every: float,
    export: bool,
    name: str | None,
    device: str,
    quiet: bool,
    debug: bool,
) -> None:
    """Train a prior, or a network beside it, on a folder of photos; run again to resume."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    from ..loading import find_device
    from ..training import presets, trainer
    from ..training.export import export as write_weights
    from ..training.run import Run

    if export:
        click.echo(str(write_weights(Run(output), name)))
        return
    if data is None:
        raise RestorekitError("give a folder of photos to train on")
    settings = presets.read(preset, config, presets.parse_changes(changes))
    run, chief = Run(output), os.environ.get("RANK", "0") == "0"
    alone = run.alone() if chief else contextlib.nullcontext()
    with alone, TrainingBar(quiet or not chief) as bar:
        written = trainer.train(
            settings,
            data,
            output,
            device=str(find_device(device)),
            init=init,
            marks=marks,
            cache=cache,
            minutes=time_budget,
            pause=pause_after,
            save_every=save_every,
            validate_every=validate_every,
            name=name,
            report=bar,
        )
    if chief:
        click.echo(str(written))
