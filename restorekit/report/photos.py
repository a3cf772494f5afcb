"""Photos on a page: what is shown of each, gathered one by one and kept small."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from ..folder.work import CONTRAST
from ..images import Photo
from . import pictures

BUDGET = 30_000_000  # bytes of all pictures: 40 MB in base64
MOST = 6_000_000  # bytes of one photo's
DIFFERENCE = 0.4  # of them
TILE = 320  # pixels of the longer side
LABELS = {
    "before": "before",
    "baseline": "classical baseline",
    "truth": "truth",
    "after": "after",
    "difference": "difference",
    "deviation": "deviation of the samples",
}
SAID = {  # of EXIF, in words
    ExifTags.Base.Make: "camera's maker",
    ExifTags.Base.Model: "camera",
    ExifTags.Base.DateTime: "taken",
    ExifTags.Base.Artist: "artist",
    ExifTags.Base.ImageDescription: "description",
    ExifTags.Base.Copyright: "copyright",
}
LONGEST_SAID = 200  # characters


@dataclass(frozen=True)
class Shown:
    """A picture to be shown.

    Attributes:
        pixels: (H, W, 3) uint8.
        file: where it lies in full, if it does.
        profile: of its colours.
    """

    pixels: np.ndarray
    file: Path | None = None
    profile: bytes | None = None

    @classmethod
    def of(cls, photo: Photo, file: Path | None = None) -> Shown:
        return cls(pictures.flat(photo), file, pictures.profile_of(photo))


@dataclass(frozen=True)
class Layer:
    """One of a photo's pictures as the page has it: its part, what to call it, WebP, and the file
    in full."""

    part: str
    label: str
    data: bytes
    file: Path | None = None


@dataclass(frozen=True)
class Entry:
    """A photo on a page.

    Attributes:
        name: by which the user knows it.
        layers: what can be looked at, laid over one another.
        tile: before and after, small; WebP.
        figures: scores, gain and cost by what they are called; NaN where there are none.
        notes: what was said of it.
        facts: what its file says, as pairs of words.
        size, shown: width and height in full, and as it is shown here.
    """

    name: str
    layers: tuple[Layer, ...]
    tile: bytes
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    size: tuple[int, int] = (0, 0)
    shown: tuple[int, int] = (0, 0)

    @property
    def sorting(self) -> str:
        """The figures as JSON, in which what is not finite has no place."""
        bounded = {k: max(min(v, 1e9), -1e9) for k, v in self.figures.items() if not math.isnan(v)}
        return json.dumps(bounded)


class Gallery:
    """Takes photos in, one after the other, and keeps what a page shows of them.

    Args:
        count: how many there will be; they share the bytes that a page may have.
    """

    def __init__(self, count: int) -> None:
        self.share = min(BUDGET // max(count, 1), MOST)
        self.entries: list[Entry] = []

    def add(
        self,
        name: str,
        shown: Mapping[str, Shown],
        *,
        figures: Mapping[str, float] = {},
        notes: Sequence[str] = (),
        facts: Sequence[tuple[str, str]] = (),
    ) -> None:
        """A photo by its pictures: "after", and any of "before", "baseline", "truth", "deviation".

        What has another shape than "after" is left out, with a note.
        """
        after = shown["after"]
        fitting = {n: s for n, s in shown.items() if pictures.alike(s.pixels, after.pixels)}
        notes = [*notes, *(f"{LABELS[n]}: of another shape" for n in shown if n not in fitting)]
        layers = {part: s.pixels for part, s in fitting.items()}
        profiles = {part: s.profile for part, s in fitting.items()}
        labels = {**LABELS}
        if "deviation" in layers:
            layers["deviation"], most = pictures.heat(layers["deviation"])
            labels["deviation"] += f", yellow: {most / CONTRAST:.1f} of 255"
        before = fitting.get("before")
        small = pictures.tile(before.pixels if before else None, after.pixels, TILE)
        tile = pictures.webp(small, after.profile)
        room, data = self.share - len(tile), {}
        if (base := fitting.get("before") or fitting.get("truth")) is not None:
            # Amplified 64 times, what a lossy format adds would be all there is to see.
            apart = {"difference": pictures.difference(base.pixels, after.pixels)}
            data = pictures.fitted(apart, int(DIFFERENCE * room), {}, lossless=True)
        room -= sum(map(len, data.values()))
        data |= pictures.fitted(layers, room, profiles)
        self.entries.append(
            Entry(
                name,
                tuple(
                    Layer(part, label, data[part], fitting[part].file if part in fitting else None)
                    for part, label in labels.items()
                    if part in data
                ),
                tile,
                dict(figures),
                tuple(notes),
                tuple(facts),
                after.pixels.shape[1::-1],
                pictures.size_of(data["after"]),
            )
        )


def said_by(photo: Photo) -> list[tuple[str, str]]:
    """What a photo's EXIF says of it, in pairs of words."""
    found: list[tuple[str, str]] = []
    with contextlib.suppress(Exception):  # damaged EXIF says nothing
        exif = Image.Exif()
        exif.load(dict(photo.metadata).get("exif", b""))
        for tag, word in SAID.items():
            if said := str(exif.get(tag, "")).strip("\0 "):
                found.append((word, said[:LONGEST_SAID]))
    return found
