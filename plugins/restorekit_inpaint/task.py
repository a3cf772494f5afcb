"""The task `inpaint`: y = m x_0, m = 0 where the photo is to be repaired."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restorekit.task import Picture, Problem, Recipe, Task, Trial
from restorekit.units import from_engine, to_engine

from . import masks

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorekit.engine.noise import Noise


class Inpaint(Task):
    """Repairs what the mask marks. White means: repair here."""

    name = "inpaint"
    summary = "Repair scratches, text and holes that a mask marks."
    options = (
        click.Option(
            ["--mask"],
            type=click.Path(dir_okay=False),
            help="Picture of the same size; white means repair here.",
        ),
        click.Option(
            ["--mask-dir"],
            type=click.Path(file_okay=False),
            help="Folder with a mask for each photo, under the photo's path and name.",
        ),
        click.Option(["--mask-invert"], is_flag=True, help="Black means repair here instead."),
        click.Option(
            ["--mask-from-alpha"], is_flag=True, help="Repair the photo's transparent pixels."
        ),
    )
    recipes = {
        "fidelity": Recipe("diffpir", "snore", 8, "geometric", 0.25, 0.02),
        "perceptual": Recipe("diffpir", "ddpm", steps=24, grid="karras", start=1.0, end=0.02),
    }

    def reads(self, name: str, **options: Any) -> list[Path]:
        path = masks.path_of(name, options["mask"], options["mask_dir"])
        return [] if path is None else [path]

    def marked(self, picture: Picture, **options: Any) -> np.ndarray:
        return masks.hole_of(picture, **options)

    def observe(self, picture: Picture, **options: Any) -> Problem:
        import torch

        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Mask

        hole = masks.hole_of(picture, **options)
        known = torch.from_numpy(~hole)[None, None]
        y = picture.pixels * known
        return Problem(
            Observation(y, Degradation(Mask(known.float()))),
            size=hole.shape,
            guess=fill(picture.pixels, hole),
            keep=~hole,
            opaque=bool(options["mask_from_alpha"]),
            notes=(f"mask covers {100 * hole.mean():.1f} % of the photo",),
        )

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        return Trial(
            degrade,
            telea,
            options=masks.BENCHMARK_OPTIONS,
            region=lambda mask, **_: mask,
        )


def fill(pixels: Tensor, hole: np.ndarray) -> Tensor:
    """A rough filling of the hole to start from: OpenCV's Telea, known pixels as they are."""
    import numpy as np
    import torch

    rough = _telea(from_engine(pixels, np.dtype(np.uint8)), hole)
    return torch.where(torch.from_numpy(hole), to_engine(rough), pixels)


def _telea(eight: np.ndarray, hole: np.ndarray, radius: int = 3) -> np.ndarray:
    import cv2

    filled = cv2.inpaint(eight, hole.astype("uint8"), radius, cv2.INPAINT_TELEA)
    return filled.reshape(eight.shape)


def degrade(
    clean: np.ndarray, noise: Noise, **options: Any
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Blackens what the mask marks: a file's, or one drawn for this picture."""
    hole = masks.benchmark_mask(clean.shape[:2], noise, **options)
    damaged = clean.copy()
    damaged[hole] = 0
    return (
        clean,
        damaged,
        {
            "mask": hole,
            "mask_dir": None,
            "mask_invert": False,
            "mask_from_alpha": False,
        },
    )


def telea(damaged: np.ndarray, *, mask: np.ndarray, **options: Any) -> np.ndarray:
    """OpenCV's fast marching method (Telea 2004)."""
    return _telea(damaged, mask)
