import click

from restorekit.hookspecs import hookimpl
from restorekit.task import Problem, Recipe, Task


class Deinterlace(Task):
    name = "deinterlace"
    summary = "Fill in every other line."
    options = (click.Option(["--odd"], is_flag=True, help="The odd lines are the lost ones."),)
    recipes = {
        "fidelity": Recipe("diffpir", "snore", steps=6, start=0.4),  # near the guess
        "perceptual": Recipe("diffpir", "ddpm", steps=24, start=1.0),
    }

    def observe(self, picture, *, odd):
        import torch
        from torch.nn.functional import pad

        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Mask

        known = torch.ones_like(picture.pixels)
        known[..., int(odd) :: 2, :] = 0
        y = picture.pixels * known

        def beside(x):  # the line above and the one below, where there is one
            x = pad(x, (0, 0, 1, 1))
            return x[..., :-2, :] + x[..., 2:, :]

        guess = y + (1 - known) * beside(y) / beside(known).clamp(min=1)
        return Problem(Observation(y, Degradation(Mask(known))), y.shape[2:], guess=guess)


@hookimpl
def restorekit_tasks():
    return [Deinterlace()]
