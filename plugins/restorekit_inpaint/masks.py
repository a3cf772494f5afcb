"""Masks: how they are read, painted over a photo, or found in it."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from restorekit.errors import RestorekitError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorekit.task import Picture

AUTO = "auto"  # in place of a file: what is damaged is found
DARK = 1 / 8  # of white: what is lighter counts as painted, so that soft brush edges do too
STROKE = 0.45  # opacity that a stroke reaches, that of a brush at half strength too
ROUGH = 15  # times what a copy's file has changed everywhere: nearer to the paint nothing is told
GREYS = 0.5  # share of middle greys from which on a picture is a photo, and no mask
QUICK = 2e6  # pixels that are looked at to tell whether there is damage
AROUND, ALIGNED = 1024, 64  # pixels a side that are looked at for a part, and what they begin on
WRITTEN = 0.5  # how sure handwriting must be, at most: who asks for it knows of some
GROWN = 2  # pixels that a found mask is widened by, since damage has soft edges
CALLED_FOR = (
    "give one of --mask FILE, --mask auto, --mask-dir FOLDER and --mask-from-alpha; a mask marks "
    "what to repair"
)


class How(NamedTuple):
    """How damage is looked for: how sure it must be, whether handwriting counts, with what."""

    threshold: float
    writing: bool = False
    finder: Path | None = None


class Hole(NamedTuple):
    """What is to be repaired: where, and the name of what says so."""

    where: np.ndarray
    name: str


def read(
    path: str | os.PathLike[str], invert: bool = False, max_megapixels: float = 178
) -> np.ndarray:
    """(H, W) bool: True where a mask file marks the photo for repair.

    Raises:
        RestorekitError: if it cannot be read, or is a photo.
    """
    from restorekit import images

    photo = images.read(path, max_megapixels=max_megapixels)
    brightness = lightened(photo.pixels.mean(axis=2) / photo.peak, os.fspath(path))
    layer = photo.alpha is not None and (photo.alpha < photo.peak).any()
    if not layer and is_photo(brightness):
        raise RestorekitError(
            f"{os.fspath(path)}: looks like a photo, not like a mask, which is black and white; "
            "where it is a copy of the photo, painted over, say in what --mask-color"
        )
    if photo.alpha is not None:  # what is transparent is not painted
        opacity = photo.alpha / photo.peak
        brightness = opacity * brightness + (1 - opacity) * invert
    return painted(brightness, invert)


def lightened(brightness: np.ndarray, name: str) -> np.ndarray:
    """(H, W) brightness on [0, 1] of a mask whose white is nearly black: one of 0 and 1, say.

    Raises:
        RestorekitError: if it has several shades, of which none is light.
    """
    import numpy as np

    largest = brightness.max(initial=0)
    if not 0 < largest <= DARK:
        return brightness
    of_8_bits = abs(largest * 65535 - 255) < 0.5  # in a file of 16
    if of_8_bits or len(np.unique(brightness)) == 2:
        return np.asarray(brightness / largest)
    raise RestorekitError(
        f"{name}: is nearly black, its lightest {100 * largest:.0f} % of white; paint what is "
        "damaged white"
    )


def is_photo(brightness: np.ndarray) -> bool:
    """Whether (H, W) brightness on [0, 1] has mostly greys, of many kinds."""
    import numpy as np

    some = brightness[::4, ::4] if brightness.size > 1e6 else brightness
    counts = np.histogram(some, bins=64, range=(0, 1))[0] / some.size
    middle = counts[6:-6]  # a tenth to nine tenths of white
    return bool(middle.sum() > GREYS and middle.max() < GREYS / 2)


def painted(brightness: np.ndarray, invert: bool) -> np.ndarray:
    """What counts as painted of (H, W) brightness on [0, 1]."""
    import numpy as np

    return np.asarray((1 - brightness if invert else brightness) > DARK)


def painted_over(copy: np.ndarray, photo: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(H, W) bool: where a copy of a photo was painted over in a colour.

    A soft brush gives p + a (c - p), so a is how far the copy went from photo to colour:
    (copy - p) . (c - p) / |c - p|^2, unless it leads elsewhere, as other edits would.

    Args:
        copy, photo: (H, W, 3) float on [0, 255].
    """
    import numpy as np
    from skimage.filters import apply_hysteresis_threshold

    way, moved = np.asarray(colour, np.float32) - photo, copy - photo
    # A JPEG changes every pixel, and most where it looks like a stroke over what is like the paint.
    rough = 1 + ROUGH**2 * np.median(np.square(moved).sum(2))
    opacity = (moved * way).sum(2) / np.maximum(np.square(way).sum(2), rough)
    aside = np.square(moved - opacity[..., None] * way).sum(2)
    opacity[aside > np.square(moved).sum(2) / 4] = 0
    # What a JPEG rounds may look like a breath of colour, but not like a stroke.
    return np.asarray(apply_hysteresis_threshold(opacity, DARK, STROKE))


def path_of(name: str, mask: Any, mask_dir: str | os.PathLike[str] | None) -> Path | None:
    """The mask file of the photo with that path within its folder; None where there is no file.

    In a folder of masks it has the photo's path and name, its suffix being any picture's; or, which
    comes first, that name with -mask at its end, as --save-mask writes it beside the photo.

    Raises:
        RestorekitError: if the folder has none for this photo, or several.
    """
    from restorekit import images

    if mask_dir is None:
        is_file = isinstance(mask, str | os.PathLike) and not is_auto(mask)
        return Path(mask) if is_file else None
    wanted = Path(mask_dir) / name
    there = [p for p in sorted(wanted.parent.glob("*")) if p.suffix.lower() in images.SUFFIXES]
    for stem in (f"{wanted.stem}-mask", wanted.stem):
        found = [path for path in there if composed(path.stem) == composed(stem)]
        if len(found) == 1 or wanted in found:
            return wanted if wanted in found else found[0]
        if found:
            break
    what = "several masks" if found else "no mask"
    raise RestorekitError(
        f"{wanted.with_suffix('.*')}: {what} for {name}; put one there of the photo's name"
    )


def composed(name: str) -> str:
    """The same name for an accented letter and for a letter with an accent, as Macs write it."""
    return unicodedata.normalize("NFC", name)


def hole_of(
    picture: Picture,
    *,
    mask: str | os.PathLike[str] | np.ndarray | Tensor | None,
    mask_dir: str | os.PathLike[str] | None,
    mask_invert: bool,
    mask_from_alpha: bool,
    mask_threshold: float,
    mask_writing: bool,
    mask_finder: str | os.PathLike[str] | None,
    mask_grow: int | None,
    mask_color: str | None,
    **others: Any,
) -> Hole:
    """Where the picture is to be repaired. A found mask may be empty, and one of a folder's.

    Raises:
        RestorekitError: for no mask or two, another size, nothing or everything to repair.
    """
    size = tuple(picture.pixels.shape[2:])
    if (mask is not None) + (mask_dir is not None) + mask_from_alpha != 1:
        raise RestorekitError(CALLED_FOR)
    of_file = mask_dir is not None or (isinstance(mask, str | os.PathLike) and not is_auto(mask))
    if mask_invert and (not of_file and (mask_from_alpha or isinstance(mask, str))):
        raise RestorekitError("--mask-invert goes with mask files alone")
    if mask_color is not None and (not of_file or mask_invert):
        raise RestorekitError(
            "--mask-color goes with --mask FILE or --mask-dir FOLDER, without --mask-invert: a "
            "copy of the photo, painted over in that colour"
        )
    if is_auto(mask):
        how = How(mask_threshold, mask_writing, finder_at(mask_finder))
        found = found_within(picture, how)
        if found.all():
            raise RestorekitError(
                "--mask auto: all of it looks damaged; raise --mask-threshold, or paint a mask"
            )
        where = grown(found, GROWN if mask_grow is None else mask_grow)
        if where.all():
            raise RestorekitError("--mask-grow: so wide that all is to be repaired; give less")
        return Hole(where, AUTO)
    if mask_from_alpha:
        if picture.alpha is None:
            raise RestorekitError("the photo has no transparency; use --mask FILE")
        hole = Hole((picture.alpha < 0.5).numpy(), "the alpha channel")
    elif of_file:
        hole = of_path(path_of(picture.name, mask, mask_dir), picture, mask_invert, mask_color)
    else:
        hole = Hole(painted(_brightness(mask), mask_invert), "the mask")
    part = None if mask_from_alpha else picture.window
    check_size(hole, size if part is None else part.whole)  # a mask is as large as the photo
    where = grown(hole.where, mask_grow or 0)
    hole = Hole(where if part is None else part.cut(where), hole.name)
    remedy = "paint the damage white and leave what is sound black, or use --mask-invert"
    if mask_color is not None:
        remedy = f"paint over the damage in {mask_color}, and over nothing else"
    elif mask_from_alpha:
        remedy = "erase what is damaged, and nothing else"
    if mask_dir is None or hole.where.any():  # --save-mask leaves empty ones of sound photos
        check(hole, remedy)
    return hole


def check_size(hole: Hole, size: tuple[int, ...]) -> None:
    """Raises RestorekitError for a mask of another size than the photo's."""
    if hole.where.shape != size:
        sizes = [f"{s[1]} x {s[0]}" for s in (hole.where.shape, size)]
        turned = hole.where.shape == size[::-1]
        remedy = "turn it as the photo is seen" if turned else "make them the same size"
        raise RestorekitError(f"{hole.name}: is {sizes[0]} but the photo is {sizes[1]}; {remedy}")


def check(hole: Hole, remedy: str) -> None:
    """Raises RestorekitError for nothing or everything to repair."""
    if not hole.where.any():
        raise RestorekitError(f"{hole.name}: marks nothing to repair; {remedy}")
    if hole.where.all():
        raise RestorekitError(f"{hole.name}: marks every pixel; {remedy}")


def of_path(path: Path | None, picture: Picture, invert: bool, color: str | None) -> Hole:
    """What a mask file marks.

    Raises:
        RestorekitError: if it cannot be read, or is no copy of the photo where it has to be one.
    """
    from restorekit import images
    from restorekit.units import from_engine

    assert path is not None
    source = picture.source.path if picture.source else None
    if source and path.exists() and source.exists() and path.samefile(source):
        raise RestorekitError(f"{path}: is the photo itself; a mask is white where it is damaged")
    part = picture.window
    height, width = picture.pixels.shape[2:] if part is None else part.whole
    largest = max(178, height * width / 1e6)  # a photo this large was asked for
    if color is None:
        return Hole(read(path, invert, largest), os.fspath(path))
    import numpy as np

    copy = images.read(path, max_megapixels=largest)
    hole = Hole(np.zeros(copy.pixels.shape[:2], bool), os.fspath(path))
    check_size(hole, (height, width))
    here = (slice(None), slice(None)) if part is None else part.slices
    eight = from_engine(picture.pixels.expand(-1, 3, -1, -1), np.dtype(np.uint8))
    seen = np.broadcast_to(copy.pixels[here] / copy.peak * 255, eight.shape)
    if copy.alpha is not None:  # a layer: what is transparent shows the photo
        opacity = (copy.alpha[here] / copy.peak)[..., None]
        seen = opacity * seen + (1 - opacity) * eight
    hole.where[here] = painted_over(seen.astype(np.float32), eight.astype(np.float32), rgb(color))
    return hole


def rgb(color: str) -> tuple[int, int, int]:
    """Of a colour's name, or #rrggbb. Raises RestorekitError for what is none."""
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(color)[:3]
    except ValueError as error:
        raise RestorekitError(
            f"--mask-color {color!r} is no colour; use a name, as red, or #rrggbb"
        ) from error
    return red, green, blue


def is_auto(mask: Any) -> bool:
    """Whether the mask is to be found; it may be an array, which compares otherwise."""
    return isinstance(mask, str) and mask == AUTO


def finder_at(given: str | os.PathLike[str] | None) -> Path | None:
    """The weights in a file, or in the folder of a training run; None: those shipped."""
    path = None if given is None else Path(given)
    return path / "damage.safetensors" if path is not None and path.is_dir() else path


def found_within(picture: Picture, how: How) -> np.ndarray:
    """(H, W) bool: what looks damaged in a picture or, with what is around it, in a part of one."""
    part = picture.window
    if part is None or picture.photo is None:
        return found_in(picture.pixels, how)
    around = part.grown(AROUND, (ALIGNED, ALIGNED))
    found = found_in(picture.whole[(..., *around.slices)], how)
    return part.within(around).cut(found)


def found_in(pixels: Tensor, how: How) -> np.ndarray:
    """(H, W) bool: what looks damaged in (1, C, H, W)."""
    import numpy as np

    from restorekit import damage

    kinds = damage.find(pixels, writing=how.writing, weights=how.finder or damage.WEIGHTS)
    thresholds = how.threshold, min(how.threshold, WRITTEN)
    found = [damage.marked(sure, at) for sure, at in zip(kinds, thresholds, strict=False)]
    return np.asarray(np.logical_or.reduce(found))


def share_found_in(pixels: Tensor, threshold: float) -> float:
    """Of a picture's area, what looks damaged: quickly, in a large one reduced."""
    import torch.nn.functional as F

    height, width = pixels.shape[2:]
    factor = (QUICK / (height * width)) ** 0.5
    if factor < 1:
        size = [max(1, round(side * factor)) for side in (height, width)]
        pixels = F.interpolate(pixels, size, mode="area")
    return float(found_in(pixels, How(threshold)).mean())


def grown(hole: np.ndarray, pixels: int) -> np.ndarray:
    """A mask, wider by some pixels on every side."""
    if not pixels:
        return hole
    import cv2

    round_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return cv2.dilate(hole.astype("uint8"), round_).astype(bool)


def _brightness(mask: Any) -> np.ndarray:
    """Booleans and floats as they are; integers by the smallest of 1, 8 and 16 bits they fit."""
    import numpy as np
    import torch

    mask = np.asarray(mask.cpu() if isinstance(mask, torch.Tensor) else mask)
    kind, largest = mask.dtype.kind, mask.max(initial=0)
    while mask.ndim > 2 and 1 in (mask.shape[0], mask.shape[-1]):  # a batch, and channels
        mask = mask[..., 0] if mask.shape[-1] == 1 else mask[0]
    if mask.ndim == 3 and mask.shape[2] == 3:
        mask = mask.mean(axis=2)
    if mask.ndim != 2:
        raise RestorekitError(f"a mask must be (H, W), not {mask.shape}")
    peak = 1 if kind not in "ui" or largest <= 1 else 255 if largest <= 255 else 65535
    return np.asarray(mask.astype(np.float64) / peak)
