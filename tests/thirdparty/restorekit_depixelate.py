"""A stranger's plugin: the task `depixelate`, y = A x_0, A the mean over squares."""

from __future__ import annotations

import math
from typing import Any

import click

from restorekit.hookspecs import hookimpl
from restorekit.task import Picture, Problem, Recipe, Task


class Depixelate(Task):
    name = "depixelate"
    summary = "Turn a mosaic back into a photo."
    options = (click.Option(["--block"], type=click.IntRange(2), default=4, help="Squares' side."),)
    recipes = {"fidelity": Recipe("diffpir", "snore", steps=4, grid="geometric", start=0.8)}

    def observe(self, picture: Picture, **options: Any) -> Problem:
        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Resample, area

        height, width = size = (picture.pixels.shape[2], picture.pixels.shape[3])
        squares = (math.ceil(height / options["block"]), math.ceil(width / options["block"]))
        mosaic = Resample(size, squares, area)
        y = mosaic(picture.pixels)
        return Problem(Observation(y, Degradation(mosaic)), size, guess=Resample(squares, size)(y))


@hookimpl
def restorekit_tasks() -> list[Task]:
    return [Depixelate()]
