"""The task `generate`: an operator with zero rows, so that the posterior is the prior."""

from __future__ import annotations

import re
from typing import Any

import click

from restorekit.task import Picture, Problem, Recipe, Task


class Size(click.ParamType):  # type: ignore[type-arg]
    """WIDTHxHEIGHT, or one number for a square; in Python also a pair (height, width)."""

    name = "WxH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        if isinstance(value, int):
            value = (value, value)
        if isinstance(value, str):
            match = re.fullmatch(r"(\d+)(?:x(\d+))?", value)
            if match is None:
                self.fail(f"{value!r} is not a size; write 256 or 320x240", param, ctx)
            width = int(match[1])
            value = (int(match[2] or width), width)
        if not all(8 <= side <= 8192 for side in value):
            self.fail("each side must have 8 to 8192 pixels", param, ctx)
        return tuple(value)


class Generate(Task):
    """Draws pictures from the prior alone."""

    name = "generate"
    summary = "Draw a picture from the prior alone."
    prior = "scene64"
    takes_photo = False
    options = (
        click.Option(
            ["--size"],
            type=Size(),
            default="64",
            show_default=True,
            help="Size of the picture, WIDTHxHEIGHT or one number.",
        ),
    )
    recipes = {
        "fidelity": Recipe(
            "none", "dpmpp_2m", steps=32, grid="karras", start=80.0, low={"steps": 10}
        ),
        "perceptual": Recipe("none", "ddpm", steps=100, grid="uniform", low={"steps": 25}),
    }

    def observe(self, picture: Picture, **options: Any) -> Problem:
        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Nothing

        size = options["size"]
        y = picture.pixels.new_zeros(1, picture.pixels.shape[1], 0, size[1])
        return Problem(Observation(y, Degradation(Nothing(size))), size)
