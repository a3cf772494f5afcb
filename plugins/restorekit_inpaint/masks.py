"""Masks: how they are read, and the ones the benchmark draws."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restorekit.errors import RestorekitError
from restorekit.options import Number

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorekit.engine.noise import Noise
    from restorekit.task import Picture

BENCHMARK_OPTIONS = (
    click.Option(
        ["--mask-kind"],
        type=click.Choice(["random", "text", "scratch"]),
        default="random",
        show_default=True,
        help="What to destroy, unless --mask gives a file.",
    ),
    click.Option(
        ["--coverage"],
        type=Number(0, 1, min_open=True, max_open=True),
        default=0.5,
        show_default=True,
        help="Share of the pixels that a random mask destroys.",
    ),
)


DARK = 1 / 8  # of white: what is lighter counts as painted, so that soft brush edges do too


def read(
    path: str | os.PathLike[str], invert: bool = False, max_megapixels: float = 178
) -> np.ndarray:
    """(H, W) bool: True where a mask file marks the photo for repair."""
    from restorekit import images

    photo = images.read(path, max_megapixels=max_megapixels)
    brightness = photo.pixels.mean(axis=2) / photo.peak
    if photo.alpha is not None:  # what is transparent is not painted
        opacity = photo.alpha / photo.peak
        brightness = opacity * brightness + (1 - opacity) * invert
    return painted(brightness, invert)


def painted(brightness: np.ndarray, invert: bool) -> np.ndarray:
    """What counts as painted of (H, W) brightness on [0, 1]."""
    import numpy as np

    return np.asarray((1 - brightness if invert else brightness) > DARK)


def path_of(name: str, mask: Any, mask_dir: str | os.PathLike[str] | None) -> Path | None:
    """The mask file of the photo with that path within its folder; None where there is no file.

    In a folder of masks it has the photo's path and name, its suffix being any picture's.

    Raises:
        RestorekitError: if the folder has none for this photo, or several.
    """
    from restorekit import images

    if mask_dir is None:
        return Path(mask) if isinstance(mask, str | os.PathLike) else None
    wanted = Path(mask_dir) / name
    found = [
        path
        for path in sorted(wanted.parent.glob(f"{glob.escape(wanted.stem)}.*"))
        if path.suffix.lower() in images.SUFFIXES and path.stem == wanted.stem
    ]
    if len(found) == 1 or wanted in found:
        return wanted if wanted in found else found[0]
    what = "several masks" if found else "no mask"
    raise RestorekitError(
        f"{wanted.with_suffix('.*')}: {what} for {name}; put one there of the photo's name"
    )


def hole_of(
    picture: Picture,
    *,
    mask: str | os.PathLike[str] | np.ndarray | Tensor | None,
    mask_dir: str | os.PathLike[str] | None = None,
    mask_invert: bool,
    mask_from_alpha: bool,
) -> np.ndarray:
    """(H, W) bool, True where the picture is to be repaired.

    Raises:
        RestorekitError: for no mask or two, another size, nothing or everything to repair.
    """
    import numpy as np
    import torch

    size = tuple(picture.pixels.shape[2:])
    if (mask is not None) + (mask_dir is not None) + mask_from_alpha != 1:
        raise RestorekitError("give one of --mask FILE, --mask-dir FOLDER and --mask-from-alpha")
    if mask_from_alpha and mask_invert:
        raise RestorekitError("--mask-invert goes with mask files, not with --mask-from-alpha")
    if mask_dir is not None:
        mask = path_of(picture.name, None, mask_dir)
    if mask_from_alpha:
        if picture.alpha is None:
            raise RestorekitError("the photo has no transparency; use --mask FILE")
        name, hole = "the alpha channel", (picture.alpha < 0.5).numpy()
    elif isinstance(mask, str | os.PathLike):
        largest = max(178, size[0] * size[1] / 1e6)  # a photo this large was asked for
        name, hole = os.fspath(mask), read(mask, mask_invert, largest)
    else:
        array = np.asarray(mask.cpu() if isinstance(mask, torch.Tensor) else mask)
        name, hole = "the mask", painted(_brightness(array), mask_invert)
    if picture.window is not None and not mask_from_alpha:  # a mask is as large as the photo
        size = picture.window.whole
    if hole.shape != size:
        sizes = [f"{s[1]} x {s[0]}" for s in (hole.shape, size)]
        raise RestorekitError(
            f"{name}: is {sizes[0]} but the photo is {sizes[1]}; make them the same size"
        )
    if picture.window is not None and not mask_from_alpha:
        hole = picture.window.cut(hole)
    if not hole.any():
        raise RestorekitError(
            f"{name}: marks nothing to repair; paint the damage white, or use --mask-invert"
        )
    if hole.all():
        raise RestorekitError(
            f"{name}: marks every pixel; leave what is sound black, or use --mask-invert"
        )
    return hole


def _brightness(mask: np.ndarray) -> np.ndarray:
    """Booleans and floats as they are; integers by the smallest of 1, 8 and 16 bits they fit."""
    import numpy as np

    kind, largest = mask.dtype.kind, mask.max(initial=0)
    mask = mask.squeeze() if mask.ndim > 2 else mask
    if mask.ndim == 3 and mask.shape[2] == 3:
        mask = mask.mean(axis=2)
    if mask.ndim != 2:
        raise RestorekitError(f"a mask must be (H, W), not {mask.shape}")
    peak = 1 if kind not in "ui" or largest <= 1 else 255 if largest <= 255 else 65535
    return mask.astype(np.float64) / peak


def benchmark_mask(
    size: tuple[int, int],
    noise: Noise,
    *,
    mask: Any,
    mask_dir: Any,
    mask_invert: bool,
    mask_from_alpha: bool,
    mask_kind: str,
    coverage: float,
) -> np.ndarray:
    """The hole that a benchmark tears into a picture of that size."""
    import numpy as np

    if mask_from_alpha or mask_dir is not None:
        raise RestorekitError("clean photos have no masks of their own; use --mask-kind")
    if mask is not None:
        found = read(mask, mask_invert)
        if found.shape != size:
            raise RestorekitError(f"{mask}: its size differs from the photo's; use --mask-kind")
        return found
    if mask_kind == "random":
        uniform = noise.normal(size).numpy()
        return np.asarray(uniform < np.quantile(uniform, coverage))
    seed = int(abs(float(noise.normal((1,))[0])) * 1e6)
    return {"text": text, "scratch": scratches}[mask_kind](size, np.random.default_rng(seed))


def text(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Lines of writing all over the picture."""
    import cv2
    import numpy as np

    canvas = np.zeros(size, dtype=np.uint8)
    step = max(24, size[0] // 10)
    for y in range(step, size[0], step):
        words = "".join(rng.choice(list("restorekit paints it anew "), 120))
        left = -int(rng.integers(60))
        cv2.putText(canvas, words, (left, y), cv2.FONT_HERSHEY_SIMPLEX, step / 40, 255, 2)
    return canvas > 0


def scratches(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Thin wandering lines, as on an old print."""
    import cv2
    import numpy as np

    canvas = np.zeros(size, dtype=np.uint8)
    for _ in range(max(6, round(sum(size) / 60))):
        point = rng.random(2) * size[::-1]
        heading = rng.random() * 2 * np.pi
        path = [point]
        for _ in range(12):
            heading += rng.normal(0, 0.25)
            length = max(size) / 40
            path.append(path[-1] + length * np.array([np.cos(heading), np.sin(heading)]))
        line = np.rint(np.array(path)).astype(np.int32)[:, None]
        cv2.polylines(canvas, [line], False, 255, int(rng.integers(1, 5)))
    return canvas > 0
