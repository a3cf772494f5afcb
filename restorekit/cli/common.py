"""Options that every task's commands share."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import plugins
from ..options import HOW_STRONG, MACHINE, MOST_STEPS, RESEARCH, NameOrPath, Option, Travel
from ..task import Task

if TYPE_CHECKING:
    from ..choices import Choices


class FilePath(click.Path):
    """A path that is not empty, which Python would take for the current folder."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if value == "":
            self.fail("it is empty; give a path", param, ctx)
        return super().convert(value, param, ctx)


PATH = FilePath(path_type=Path)
FLAG: dict[str, Any] = {"is_flag": True}
SOME_FAILED = 3


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
    precisions = click.Choice(["auto", "float32", "bfloat16", "float16"])
    return [
        Option(
            ["--mode"],
            type=modes,
            heading=HOW_STRONG,
            help="fidelity: as near to the truth as can be (default). perceptual: sharper, with "
            "detail that is plausible rather than known.",
        ),
        Option(
            ["--effort"],
            type=click.Choice(["low", "normal", "high"]),
            default="normal",
            show_default=True,
            heading=HOW_STRONG,
            help="low: half the time or less, a little worse. high: eight times as long, a little "
            "better.",
        ),
        Option(
            ["--method"],
            heading=RESEARCH,
            help="How the photo conditions the prior; `restorekit methods` lists what there is.",
        ),
        Option(
            ["--sampler"],
            heading=RESEARCH,
            help="Reverse step; `restorekit samplers` lists what there is.",
        ),
        Option(
            ["--steps"],
            type=click.IntRange(1, MOST_STEPS),
            heading=RESEARCH,
            help="Steps of the sampler.",
        ),
        Option(
            ["--travel"],
            type=Travel(),
            heading=RESEARCH,
            help="Time travel: walk each stretch of LENGTH steps REPEATS times.",
        ),
        Option(
            ["--with", "tuning"],
            multiple=True,
            metavar="NAME=VALUE",
            heading=RESEARCH,
            help="An option of the method, the sampler or the prior, as eta=0.5; again for more. "
            "`restorekit methods` and `restorekit samplers` list them.",
        ),
        Option(
            ["--prior"],
            type=NameOrPath(),
            heading=RESEARCH,
            help="Name of a prior, a weights file, or a training run's folder; "
            f"by default {task.prior if task else 'each task has its own'}.",
        ),
        Option(
            ["--seed"],
            type=int,
            default=0,
            show_default=True,
            heading=RESEARCH,
            help="Of what is drawn at random.",
        ),
        Option(
            ["--device"],
            default="auto",
            show_default=True,
            heading=MACHINE,
            help="auto, cpu, cuda, cuda:1, mps.",
        ),
        Option(
            ["--precision"],
            type=precisions,
            default="float32",
            show_default=True,
            heading=MACHINE,
            help="Of the network's numbers; bfloat16 is faster where the processor has it.",
        ),
        Option(
            ["--ensemble"],
            **FLAG,
            heading=MACHINE,
            help="Average the prior over its 8 flips and turns: a little better, 8 times the cost.",
        ),
        Option(
            ["--tile"],
            type=Tile(),
            default="auto",
            show_default=True,
            heading=MACHINE,
            help="Side of the tiles that large photos are evaluated in: less memory, same pixels; "
            "of blended windows, where the prior has global layers.",
        ),
        debug_option(),
    ]


class Names(click.ParamType):  # type: ignore[type-arg]
    """Names, with commas between them."""

    name = "NAME,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        return value if isinstance(value, list) else [n.strip() for n in value.split(",")]


METRICS: dict[str, Any] = {
    "type": Names(),
    "help": "Which to compute; `restorekit plugins` lists what there is. By default all but those "
    "that take long.",
}


def debug_option() -> Option:
    return Option(["--debug"], **FLAG, once=True, heading=RESEARCH, help="Show tracebacks.")


def shown(text: object) -> str:
    """Text for a terminal, in which a file's name cannot hide control sequences."""
    plain = click.format_filename(str(text))
    return "".join(c if c.isprintable() or c == " " else f"\\x{ord(c):02x}" for c in plain)


def check_whole(means: Mapping[str, float]) -> None:
    """Ends with exit code 3 where a metric has no number for a photo, and names whose it is."""
    lost = False
    for name, mean in means.items():
        owner = plugins.registry().owner("metric", name)
        if owner is not None and math.isnan(mean):
            click.echo(f"metric {name} of {owner} has no number for a photo", err=True)
            lost = True
    if lost:
        raise click.exceptions.Exit(SOME_FAILED)


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
    from ..choices import Choices
    from ..parameters import from_text

    values["tuning"] = from_text(values["tuning"] or ())
    names = [field.name for field in dataclasses.fields(Choices) if field.name != "mode"]
    values.pop("debug")
    return Choices(mode=values.pop("mode") or mode, **{n: values.pop(n) for n in names})
