"""Scores of restored files against references, matched by name."""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import images, plugins
from .errors import RestorekitError
from .metrics import chosen, score

if TYPE_CHECKING:
    from .engine.denoiser import Denoiser
    from .priors import Prior

log = logging.getLogger(__name__)


def pairs(restored: Path, reference: Path) -> list[tuple[str, Path, Path]]:
    """(name, restored, reference) of two files, or of the photos of two folders.

    Names match without their suffixes, so that a PNG may be compared to a JPEG.

    Raises:
        RestorekitError: if a path is missing, kinds differ, or a restored photo has no reference.
    """
    for path in (restored, reference):
        if not path.exists():
            raise RestorekitError(f"{path}: no such file or folder; check the path")
    if restored.is_dir() != reference.is_dir():
        raise RestorekitError(f"{restored}, {reference}: give two files or two folders")
    if not restored.is_dir():
        return [(restored.name, restored, reference)]
    mine, theirs = _by_stem(restored), _by_stem(reference)
    if not mine:
        raise RestorekitError(f"{restored}: holds no photos")
    return _matched(mine, theirs, str(restored), str(reference))


def alone(restored: Path) -> list[tuple[str, Path, None]]:
    """(name, restored, None) of a file, or of a folder's photos, for metrics without a reference.

    Raises:
        RestorekitError: if there is none.
    """
    if not restored.exists():
        raise RestorekitError(f"{restored}: no such file or folder; check the path")
    if not restored.is_dir():
        return [(restored.name, restored, None)]
    found = _by_stem(restored)
    if not found:
        raise RestorekitError(f"{restored}: holds no photos")
    return [(name, found[name], None) for name in sorted(found)]


def pairs_within(folder: Path, restored: str, reference: str) -> list[tuple[str, Path, Path]]:
    """(shared part, restored, reference) of the photos of one folder, by two patterns.

    Args:
        restored, reference: names with one star, which stands for what the names of a pair share,
            as "*_real.JPG" and "*_mean.JPG"; with a slash, paths below the folder.

    Raises:
        RestorekitError: if a pattern has not one star, or names no photo, or if a restored photo
            has no reference.
    """
    if not folder.is_dir():
        raise RestorekitError(f"{folder}: not a folder; pairs by pattern are those of a folder")
    photos = images.below(folder)
    mine, theirs = (_by_star(folder, photos, pattern) for pattern in (restored, reference))
    return _matched(mine, theirs, restored, reference)


def _matched(
    mine: dict[str, Path], theirs: dict[str, Path], here: str, there: str
) -> list[tuple[str, Path, Path]]:
    if missing := sorted(set(mine) - set(theirs)):
        raise RestorekitError(f"{mine[missing[0]]}: has no counterpart in {there}")
    if missing := sorted(set(theirs) - set(mine)):
        log.warning(
            "%s and %d more are not in %s and not scored",
            theirs[missing[0]],
            len(missing) - 1,
            here,
        )
    return [(name, mine[name], theirs[name]) for name in sorted(mine)]


def _by_star(folder: Path, photos: Sequence[Path], pattern: str) -> dict[str, Path]:
    """By folder, and what the star stands for."""
    if pattern.count("*") != 1:
        raise RestorekitError(f"pattern {pattern!r}: give one star, for what a pair's names share")
    before, after = pattern.split("*")
    found: dict[str, Path] = {}
    for path in photos:
        name = path.relative_to(folder).as_posix()
        below = "" if "/" in pattern else name[: name.rfind("/") + 1]
        name = name.removeprefix(below)
        shared = name.removeprefix(before).removesuffix(after)
        if name == before + shared + after:
            found[below + shared] = path
    if not found:
        raise RestorekitError(f"{folder}: holds no photo that {pattern!r} names")
    return found


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in images.below(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise RestorekitError(f"{path}: has the same name as {found[name]}; rename one")
        found[name] = path
    return found


def evaluate(
    matched: Sequence[tuple[str, Path, Path | None]],
    *,
    metrics: Iterable[str] | None = None,
    luma: bool = False,
    crop_border: int = 0,
) -> dict[str, Any]:
    """{images: [{name, psnr, ssim, ...}], mean: {...}}.

    Args:
        matched: (name, restored, reference), one or more; the reference is None where there is
            none, in all or in none of them.
        metrics: names; None for every installed one but those `on_request`.

    Raises:
        RestorekitError: if files cannot be read, or differ in size, or a metric cannot be had.
    """
    referenced = all(other is not None for _, _, other in matched)
    measures = chosen(plugins.registry().offered("metric"), metrics, referenced=referenced)
    rows: list[dict[str, Any]] = []
    for name, one, other in matched:
        a = images.read(one).pixels
        b = None if other is None else images.read(other).pixels
        try:
            found = score(a, b, measures, luma=luma, crop_border=crop_border)
        except RestorekitError as error:
            raise RestorekitError(f"{one}: {error}") from error
        rows.append({"name": name, **found})
    mean = {k: sum(row[k] for row in rows) / len(rows) for k in measures}
    return {"images": rows, "mean": mean}


def as_table(report: dict[str, Any]) -> str:
    """Aligned columns, the means last."""
    widths = {name: max(10, len(name) + 2) for name in report["mean"]}
    first = max(len("mean"), *(len(row["name"]) for row in report["images"]))
    lines = [" " * first + "".join(f"{n:>{w}}" for n, w in widths.items())]
    for row in [*report["images"], {"name": "mean", **report["mean"]}]:
        lines.append(
            f"{row['name']:{first}}" + "".join(f"{cell(row[n]):>{w}}" for n, w in widths.items())
        )
    return "\n".join(lines) + "\n"


def cell(number: float) -> str:
    """A score as the table has it; a dash, where a metric failed."""
    return "-" if math.isnan(number) else f"{number:.4f}"


def as_csv(report: dict[str, Any]) -> str:
    """One line for each image, and one for the means."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["name", *report["mean"]], lineterminator="\n")
    writer.writeheader()
    writer.writerows([*report["images"], {"name": "mean", **report["mean"]}])
    return text.getvalue()


@dataclass(frozen=True)
class Bits:
    """The variational bound over pictures: its mean, and the standard error of that."""

    mean: float
    error: float
    pictures: int
    side: int


def bits(
    prior: Prior,
    folder: Path,
    *,
    terms: int,
    limit: int | None = None,
    device: str = "cpu",
    precision: str = "float32",
    batch: int = 32,
) -> Bits:
    """Bits per dimension of the middle of each picture, at the size the prior was trained on.

    Args:
        terms: of the bound's T that are evaluated; more make it more exact.
        limit: how many pictures at most, evenly spread over the sorted files.

    Raises:
        RestorekitError: if no picture is large enough, or one cannot be read.
    """
    import numpy as np
    import torch

    from .engine.losses import bits_per_dimension
    from .engine.noise import Noise
    from .engine.wrappers import Guarded
    from .loading import find_device, load_prior
    from .units import to_engine

    if not folder.is_dir():
        raise RestorekitError(f"{folder}: not a folder; give a folder of pictures")
    files = images.below(folder)
    if limit is not None and limit < len(files):
        files = [files[i * len(files) // limit] for i in range(limit)]
    on = find_device(device)
    loaded = load_prior(prior, on, precision)
    denoiser: Denoiser = loaded if loaded.precision == torch.float32 else Guarded(loaded)
    side = loaded.window
    found = []
    for first in range(0, len(files), batch):
        crops = []
        for path in files[first : first + batch]:
            pixels = images.read(path).rgb8()
            if loaded.channels == 1:
                pixels = np.rint(pixels.mean(axis=2, keepdims=True)).astype(np.uint8)
            top, left = ((length - side) // 2 for length in pixels.shape[:2])
            if min(top, left) >= 0:
                crops.append(to_engine(pixels[top : top + side, left : left + side]))
        if crops:
            x_0, noise = torch.cat(crops).to(on), Noise(0, f"bits {first}")
            found.append(bits_per_dimension(denoiser, x_0, noise.like, steps=terms).cpu())
    if not found:
        raise RestorekitError(f"{folder}: holds no picture of at least {side} x {side} pixels")
    all_bits = torch.cat(found).double()
    error = all_bits.std().item() / len(all_bits) ** 0.5 if len(all_bits) > 1 else float("nan")
    return Bits(all_bits.mean().item(), error, len(all_bits), side)
