"""`restorekit run CHAIN INPUT... -o OUTPUT`: several tasks, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import RestorekitError
from ..options import FILES, FOLDERS, RESEARCH
from .common import choices_from, common_options
from .files import (
    file_options,
    folder_options,
    inputs_argument,
    output_option,
    restore_files,
    samples_option,
)
from .help import Command
from .preview import preview_options, previewed

# Which differ from task to task.
STEPS_OWN = ("method", "sampler", "steps", "prior", "travel", "tuning")


def run(chain: str, **values: Any) -> None:
    """Do several tasks one after the other, without rounding in between.

    CHAIN is text, as in 'dejpeg | denoise strength=0.8 | superres scale=2', or a TOML file with a
    table [[step]] for each: task = "denoise", and its options. An option is called as on the
    task's own command line; mode, effort, method, sampler, steps, travel, with, prior and
    ensemble may be among them.
    """
    from .. import chain_text

    given: tuple[Path, ...] = values.pop("inputs")
    target, samples = values.pop("output"), values.pop("samples")
    files = [*file_options(), *folder_options()]
    how = {option.name: values.pop(option.name) for option in files if option.name}
    part = {option.name: values.pop(option.name) for option in preview_options() if option.name}
    perceptual = samples > 1 and values["mode"] is None
    values.update(dict.fromkeys(STEPS_OWN))
    choices = choices_from(values, "perceptual" if perceptual else "fidelity")
    if chain.lower().endswith(".toml"):
        plan = chain_text.from_file(Path(chain), choices)
    else:
        plan = chain_text.of(chain, choices)
    if samples > 1 and all(link.choices.mode == "fidelity" for link in plan.links):
        raise RestorekitError("--samples needs --mode perceptual; fidelity has one answer")
    if bool(given) != plan.takes_photo:
        what = "needs photos" if plan.takes_photo else "takes no photo"
        raise RestorekitError(f"{plan.links[0].task} {what}")
    spec = previewed(plan, given, samples, **part)
    restore_files(spec, choices.device, given, target, samples, **how)


def command() -> click.Command:
    """`restorekit run`."""
    common = [option for option in common_options(None) if option.name not in STEPS_OWN]
    return Command(
        "run",
        own=[
            click.Argument(["chain"]),
            inputs_argument(required=False),
            output_option(),
            *preview_options(),
        ],
        shared={
            FILES: file_options(),
            FOLDERS: folder_options(),
            RESEARCH: [*common, samples_option()],
        },
        callback=run,
        help=run.__doc__,
        short_help="Do several tasks, one after the other.",
    )
