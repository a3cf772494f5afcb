"""Options that every task's commands share."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import MOST_STEPS
from ..task import Task

if TYPE_CHECKING:
    from ..restorer import Choices


class FilePath(click.Path):
    """A path that is not empty, which Python would take for the current folder."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value == "":
            self.fail("it is empty; give a path", param, ctx)
        return super().convert(value, param, ctx)


PATH = FilePath(path_type=Path)
FLAG: dict[str, Any] = {"is_flag": True}


class Tile(click.ParamType):  # type: ignore[type-arg]
    """A number of pixels, or auto."""

    name = "auto|PIXELS"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | None:
        if value is None or isinstance(value, int) or value == "auto":
            return None if value == "auto" else value
        if not value.isdecimal() or len(value) > 9 or int(value) < 32:
            self.fail(f"{value!r} is no tile; give auto, or at least 32 pixels", param, ctx)
        return int(value)


def common_options(task: Task | None) -> list[click.Parameter]:
    """What every task understands; for a chain of tasks, None."""
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
        click.Option(["--steps"], type=click.IntRange(1, MOST_STEPS), help="Steps of the sampler."),
        click.Option(
            ["--prior"],
            help="Name of a prior, a weights file, or a training run's folder; "
            f"by default {task.prior if task else 'each task has its own'}.",
        ),
        click.Option(["--seed"], type=int, default=0, show_default=True),
        click.Option(
            ["--device"], default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."
        ),
        click.Option(["--precision"], type=precisions, default="float32", show_default=True),
        click.Option(
            ["--ensemble"],
            **FLAG,
            help="Average the prior over its 8 flips and turns: a little better, 8 times the cost.",
        ),
        click.Option(
            ["--tile"],
            type=Tile(),
            default="auto",
            show_default=True,
            help="Side of the tiles that large photos are evaluated in: less memory, same pixels; "
            "of blended windows, where the prior has global layers.",
        ),
        click.Option(["--debug"], **FLAG, help="Show tracebacks."),
    ]


def shown(text: object) -> str:
    """Text for a terminal, in which a file's name cannot hide control sequences."""
    plain = click.format_filename(str(text))
    return "".join(c if c.isprintable() or c == " " else f"\\x{ord(c):02x}" for c in plain)


def json_text(value: Any) -> str:
    """Indented JSON, in which what is not finite (the PSNR of equals) is null."""

    def finite(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: finite(v) for name, v in value.items()}
        if isinstance(value, list | tuple):
            return [finite(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(finite(value), indent=1, default=str, allow_nan=False)


def choices_from(values: dict[str, Any], mode: str) -> Choices:
    """Takes the common options out of a command's values."""
    from ..restorer import Choices

    names = [field.name for field in dataclasses.fields(Choices) if field.name != "mode"]
    values.pop("debug")
    return Choices(mode=values.pop("mode") or mode, **{n: values.pop(n) for n in names})
