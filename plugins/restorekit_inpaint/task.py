"""The task `inpaint`: y = m x_0, m = 0 where the photo is to be repaired."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restorekit.options import HOW_STRONG, MaskPath, Number, Option, any_of
from restorekit.task import Finding, Picture, Problem, Recipe, Task, Trial
from restorekit.units import from_engine, to_engine

from . import drawn, masks

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorekit.engine.noise import Noise

SURE = 0.99  # how sure damage is that is repaired by default
TOLD, LEAST = 0.995, 1e-4  # how sure it is to be told unasked, and on what share of the photo
GUESSED = 64  # pixels: what lies further apart, a prior that sees textures cannot connect
MAPPED = {"method": "mapped", "sampler": "hqs"}
# Few steps of an ODE's solver give texture where as many of a random walk leave it smooth.
REFINED: dict[str, Any] = {
    "sampler": "dpmpp_2m",
    "steps": 4,
    "levels": (),
    "start": 0.5,
    "refines": "fidelity",
}


def without_files(typed: Mapping[str, Any]) -> bool:
    """Whether the mask that was asked for is no file's."""
    return masks.is_auto(typed.get("mask")) or "mask_from_alpha" in typed


class Inpaint(Task):
    """Repairs what the mask marks. White means: repair here."""

    name = "inpaint"
    summary = "Repair scratches, text and holes that a mask marks, or that are found."
    options = (
        Option(
            ["--mask"],
            gives_way=any_of("mask_dir", "mask_from_alpha"),
            type=MaskPath(masks.AUTO, dir_okay=False),
            help="Picture of the same size; white means repair here. auto: what looks damaged.",
        ),
        Option(
            ["--mask-dir"],
            gives_way=any_of("mask", "mask_from_alpha"),
            type=click.Path(file_okay=False),
            help="Folder with a mask for each photo, under the photo's path and name.",
        ),
        Option(
            ["--mask-invert"],
            gives_way=lambda typed: without_files(typed) or "mask_color" in typed,
            is_flag=True,
            help="Black means repair here instead.",
        ),
        Option(
            ["--mask-from-alpha"],
            gives_way=any_of("mask", "mask_dir"),
            is_flag=True,
            help="Repair the photo's transparent pixels.",
        ),
        Option(
            ["--mask-color"],
            gives_way=lambda typed: without_files(typed) or "mask_invert" in typed,
            metavar="COLOR",
            help="The masks are copies of the photos, painted over in that colour: red, #ff0000.",
        ),
        Option(
            ["--mask-threshold"],
            heading=HOW_STRONG,
            type=Number(0, 1, min_open=True, max_open=True),
            default=SURE,
            show_default=True,
            help="Of --mask auto: how sure it must be. Less finds more, and more that is sound.",
        ),
        Option(
            ["--mask-grow"],
            heading=HOW_STRONG,
            type=click.IntRange(0, 256),
            metavar="PIXELS",
            help=f"Widen the mask; by default {masks.GROWN} pixels of what is found, else 0.",
        ),
        click.Option(
            ["--mask-writing"],
            is_flag=True,
            help="With --mask auto: handwriting is to go too.",
        ),
        click.Option(
            ["--mask-finder"],
            type=click.Path(),
            metavar="PATH",
            help="With --mask auto: what finds it, of a run of `train --preset damage`.",
        ),
        click.Option(
            ["--save-mask"],
            is_flag=True,
            help="Write what was repaired beside the photo, as NAME-mask.png, to be corrected and "
            "given with --mask or --mask-dir.",
        ),
    )
    prior = "photo-few"
    recipes = {
        "fidelity": Recipe(
            "diffpir",
            "snore",
            8,
            "geometric",
            0.25,
            0.02,
            unfolded=MAPPED,
            low={"steps": 2, "unfolded": MAPPED | {"steps": 2}},
        ),
        "perceptual": Recipe(
            "diffpir",
            "ddpm",
            24,
            "karras",
            1.0,
            0.02,
            unfolded=REFINED,
            low={"steps": 6, "unfolded": REFINED | {"steps": 2}},
        ),
    }

    stage = 20

    def find(self, picture: Picture) -> Iterable[Finding]:
        """What looks damaged. Nothing is repaired unasked: wires and twigs look so too."""
        share = masks.share_found_in(picture.pixels, TOLD)
        if share > LEAST:
            what = f"perhaps scratches or dust on {100 * share:.2g} % of it: see --mask auto"
            yield Finding(what, {"share": share}, {"mask": masks.AUTO}, suits=())

    def reads(self, name: str, **options: Any) -> list[Path]:
        path = masks.path_of(name, options["mask"], options["mask_dir"])
        finder = masks.finder_at(options["mask_finder"]) if masks.is_auto(options["mask"]) else None
        return [file for file in (path, finder) if file is not None]

    def marked(self, picture: Picture, **options: Any) -> np.ndarray:
        return masks.hole_of(picture, **options).where

    def extras(self, **options: Any) -> Sequence[str]:
        return ("mask",) if options["save_mask"] else ()

    def observe(self, picture: Picture, **options: Any) -> Problem:
        import numpy as np
        import torch

        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Mask

        found = masks.hole_of(picture, **options)
        hole = found.where
        known = torch.from_numpy(~hole)[None, None]
        y = picture.pixels * known
        return Problem(
            Observation(y, Degradation(Mask(known.float()))),
            size=hole.shape,
            guess=fill(picture.pixels, hole) if hole.any() else picture.pixels,
            level=None if hole.any() else 0.0,
            keep=~hole,
            opaque=bool(options["mask_from_alpha"]),
            notes=described(hole, found.name, picture.window is not None, options["mask_color"]),
            extras={"mask": hole.astype(np.uint8) * 255} if options["save_mask"] else {},
        )

    @property
    def trial(self) -> Trial:  # type: ignore[override]
        return Trial(
            degrade,
            telea,
            options=drawn.OPTIONS,
            region=lambda mask, **_: mask,
        )


def described(hole: np.ndarray, name: str, part: bool, paint: str | None) -> tuple[str, ...]:
    """What will be repaired, in plain words, and what cannot be known there.

    Args:
        name: of the mask.
        part: of a photo, as a preview has it.
        paint: the colour that counts as painted, if one does.
    """
    import cv2

    found = name == masks.AUTO
    if not hole.any():
        if not found:
            what = "its mask marks" if paint is None else f"its copy has in {paint}"
            return (f"{what} nothing{' here' * part}: left as it is",)
        return ("no damage found: left as it is (a smaller --mask-threshold finds more)",)
    share = 100 * hole.mean()
    covers = f"{share:.1f} %" if share >= 0.1 else "less than 0.1 %"
    what = "damage found on" if found else "mask covers"
    notes = [f"{what} {covers} of {'this part' if part else 'the photo'}"]
    edged = cv2.copyMakeBorder(hole.astype("uint8"), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    widest = round(2 * float(cv2.distanceTransform(edged, cv2.DIST_L2, 5).max()))
    if widest > GUESSED:
        notes.append(f"a hole of {widest} pixels: the fill is a guess")
    return tuple(notes)


def fill(pixels: Tensor, hole: np.ndarray) -> Tensor:
    """A rough filling of the hole to start from: OpenCV's Telea, known pixels as they are.

    It looks only at the smallest rectangle that holds all holes and what they are guessed from.
    """
    import numpy as np
    import torch

    from restorekit.fill import REACH, telea

    marked = (np.flatnonzero(hole.any(axis)) for axis in (1, 0))
    rows, columns = (slice(max(m[0] - REACH, 0), m[-1] + REACH + 1) for m in marked)
    seen, missing = pixels[..., rows, columns], hole[rows, columns]
    rough = to_engine(telea(from_engine(seen, np.dtype(np.uint8)), missing))
    guess = pixels.clone()
    guess[..., rows, columns] = torch.where(torch.from_numpy(missing), rough, seen)
    return guess


def degrade(
    clean: np.ndarray, noise: Noise, **options: Any
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Blackens what the mask marks: a file's, or one drawn for this picture."""
    hole = drawn.mask_for(clean.shape[:2], noise, **options)
    damaged = clean.copy()
    damaged[hole] = 0
    ignored = {"mask_dir": None, "mask_invert": False, "mask_writing": False, "mask_finder": None}
    kept = {n: v for n, v in options.items() if n not in drawn.NAMES}
    return clean, damaged, {**kept, **ignored, "mask": hole}


def telea(damaged: np.ndarray, *, mask: np.ndarray, **options: Any) -> np.ndarray:
    """OpenCV's fast marching method (Telea 2004)."""
    from restorekit.fill import telea

    return telea(damaged, mask)
