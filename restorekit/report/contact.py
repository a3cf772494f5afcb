"""Contact sheets: photos before and after, side by side, many to a picture."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from .. import images
from ..errors import RestorekitError
from ..folder import Manifest, picture_of
from ..folder.records import DONE
from . import pictures

log = logging.getLogger(__name__)

Pair = tuple[str, Path, Path]  # name, before, after
PAPER, INK = 255, (30, 30, 30)
GAP, WORDS, LETTER = 16, 26, 14  # pixels: between photos, for a name, and of its letters


def pairs_of_run(folder: Path) -> list[Pair]:
    """The photos that a folder run has restored into a folder, by its own record.

    Raises:
        RestorekitError: if there is no record, or it tells of no photo that is there.
    """
    rows = Manifest(folder).rows.values() if folder.is_dir() else ()
    found: list[Pair] = []
    lost: list[Pair] = []
    for row in sorted(rows, key=lambda row: row.name):
        if row.state != DONE or not row.written or not row.source:
            continue
        before, after = Path(row.source), picture_of([folder / name for name in row.written])[0]
        (found if before.is_file() and after.is_file() else lost).append((row.name, before, after))
    if lost:
        log.warning("%s and %d more are not there any more", lost[0][0], len(lost) - 1)
    if not found:
        raise RestorekitError(
            f"{folder}: has no record of photos restored into it; give a folder run's output, "
            "or two folders, BEFORE AFTER"
        )
    return found


def sheets(
    pairs: Sequence[Pair], *, columns: int = 3, rows: int = 6, side: int = 240
) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 of each sheet, in order. A photo that cannot be read is told of.

    Args:
        columns, rows: of pairs on a sheet.
        side: the longest that a photo may have, in pixels.
    """
    for first in range(0, len(pairs), columns * rows):
        cells = [cell(*pair, side) for pair in pairs[first : first + columns * rows]]
        cells += [np.full_like(cells[0], PAPER)] * (-len(cells) % min(columns, len(cells)))
        across = min(columns, len(cells))
        lines = [np.hstack(cells[i : i + across]) for i in range(0, len(cells), across)]
        yield cv2.copyMakeBorder(
            np.vstack(lines), GAP, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=(PAPER,) * 3
        )


def cell(name: str, before: Path, after: Path, side: int) -> np.ndarray:
    """Both photos and their name beneath, on paper of one size."""
    paper = np.full((side + WORDS + GAP, 2 * side + 2 * GAP, 3), PAPER, np.uint8)
    try:
        shown = [small(images.read(path), side) for path in (before, after)]
    except RestorekitError as error:
        log.warning("%s", error)
        name, shown = f"{name}: cannot be read", []
    for count, pixels in enumerate(shown):
        top, left = side - pixels.shape[0], count * (side + 4) + (side - pixels.shape[1]) // 2
        paper[top:side, left : left + pixels.shape[1]] = pixels
    plain = "".join(c if c.isprintable() else "?" for c in name)
    write(paper, shortened(plain, 2 * side), (2, side + LETTER + 4))
    return paper


def small(photo: images.Photo, side: int) -> np.ndarray:
    """A photo of at most so many pixels a side, in sRGB."""
    return pictures.in_srgb(
        pictures.reduced(pictures.flat(photo), side), pictures.profile_of(photo)
    )


def shortened(text: str, width: int) -> str:
    """The same with an ellipsis in its middle, where it would be wider than so many pixels."""
    most = width // (LETTER // 2)
    if len(text) <= most:
        return text
    return f"{text[: most // 2 - 1]}…{text[-(most // 2) :]}"


def write(paper: np.ndarray, text: str, place: tuple[int, int]) -> None:
    """Words onto paper, in whatever script."""
    cv2.putText(paper, text, place, INK, cv2.FontFace("sans"), LETTER, 400)
