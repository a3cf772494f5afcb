import click

from restorekit.hookspecs import hookimpl
from restorekit.task import Problem, Recipe, Task


class Deinterlace(Task):
    name = "deinterlace"
    summary = "Fill in every other line."
    options = (click.Option(["--odd"], is_flag=True, help="The odd lines are the lost ones."),)
    recipes = {
        "fidelity": Recipe("diffpir", "snore", steps=16, start=5.0),  # 5: grey holes drown in noise
        "perceptual": Recipe("diffpir", "ddpm", steps=24),
    }

    def observe(self, picture, *, odd):
        import torch

        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Mask

        known = torch.ones_like(picture.pixels)
        known[..., int(odd) :: 2, :] = 0
        y = picture.pixels * known
        return Problem(Observation(y, Degradation(Mask(known))), picture.pixels.shape[2:])


@hookimpl
def restorekit_tasks():
    return [Deinterlace()]
