"""Options that every task's commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..task import Task

if TYPE_CHECKING:
    from ..restorer import Choices

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
