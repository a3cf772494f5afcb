"""Photos as the page sees them: parts of any size, of 8 bits, in the photo's own colours."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image

from .. import images
from ..errors import RestorekitError
from ..window import Window

HELD = 1 << 29  # bytes of decoded photos that are kept, but for the last one
MOST = 2400  # pixels of a view's longer side
THUMBNAIL = 240
QUALITY = 90  # of views that are JPEGs

Stamp = tuple[Path, int, int]


class Photos:
    """Decoded photos, of which the last ones are kept while their files stay as they are.

    Args:
        max_megapixels: larger ones are refused by their header.
    """

    def __init__(self, max_megapixels: float) -> None:
        self.max_megapixels = max_megapixels
        self.held: OrderedDict[Stamp, images.Photo] = OrderedDict()
        self.thumbnails: OrderedDict[Stamp, bytes] = OrderedDict()
        self.decoding = threading.Lock()  # one at a time, as each takes its memory

    def read(self, path: Path) -> images.Photo:
        """A photo. Raises RestorekitError as `images.read` does."""
        with self.decoding:
            key = stamp(path)
            if key not in self.held:
                self.held[key] = images.read(path, max_megapixels=self.max_megapixels)
            self.held.move_to_end(key)
            while len(self.held) > 1 and sum(map(size_of, self.held.values())) > HELD:
                self.held.popitem(last=False)
            return self.held[key]

    def thumbnail(self, path: Path) -> bytes:
        """A small JPEG or PNG of a photo, which itself is not kept."""
        key = stamp(path)
        if key not in self.thumbnails:
            with self.decoding:
                photo = self.held.get(key) or images.read(
                    path, max_megapixels=self.max_megapixels, least=THUMBNAIL
                )
            self.thumbnails[key] = encoded(view(photo, whole(photo), THUMBNAIL))
            while len(self.thumbnails) > 2000:
                self.thumbnails.popitem(last=False)
        return self.thumbnails[key]


def stamp(path: Path) -> Stamp:
    """Which file, as it is now. Raises RestorekitError where there is none."""
    try:
        status = path.stat()
    except OSError as error:
        raise RestorekitError(f"{path}: is not there any more; look at the folder again") from error
    return path, status.st_mtime_ns, status.st_size


def size_of(photo: images.Photo) -> int:
    return photo.pixels.nbytes + (0 if photo.alpha is None else photo.alpha.nbytes)


def whole(photo: images.Photo) -> Window:
    """All of it."""
    height, width = photo.pixels.shape[:2]
    return Window(0, 0, height, width, (height, width))


def window_of(text: str, photo: images.Photo) -> Window:
    """LEFT,TOP,WIDTH,HEIGHT, as far as the photo goes; all of it, where there is no text.

    Raises:
        RestorekitError: for other text, or a part of which nothing lies in the photo.
    """
    if not text:
        return whole(photo)
    height, width = photo.pixels.shape[:2]
    try:
        left, top, across, down = map(int, text.split(","))
    except ValueError as error:
        raise RestorekitError(f"{text!r} is no part of a photo") from error
    right, bottom = min(left + across, width), min(top + down, height)
    left, top = max(left, 0), max(top, 0)
    if not (left < right and top < bottom):
        raise RestorekitError(f"{text!r} lies outside the photo")
    return Window(top, left, bottom - top, right - left, (height, width))


def view(photo: images.Photo, window: Window, side: int) -> images.Photo:
    """A part of a photo in 8 bits, reduced so that its longer side has no more than so many
    pixels. Of what it carried its colour profile stays."""
    scale = min(1.0, min(side, MOST) / max(window.height, window.width))
    size = max(1, round(window.width * scale)), max(1, round(window.height * scale))

    def reduced(samples: np.ndarray) -> np.ndarray:
        part = np.ascontiguousarray(window.cut(samples))
        if scale < 1:
            part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        return part.reshape(*part.shape[:2], *samples.shape[2:])

    alpha = None if photo.alpha is None else reduced(photo.alpha)
    small = dataclasses.replace(photo.stripped(), pixels=reduced(photo.pixels), alpha=alpha)
    return small.at_depth(np.uint8)


def encoded(photo: images.Photo, exact: bool = False) -> bytes:
    """For the browser: a JPEG, or a PNG where it is transparent or has to be exact."""
    png = exact or photo.alpha is not None
    return images.encode(photo, "PNG" if png else "JPEG", None if png else QUALITY)


def kind_of(data: bytes) -> str:
    """The media type of what was encoded."""
    return "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


def about(photo: images.Photo) -> dict[str, Any]:
    """What a page tells of a photo. All text in it is a stranger's."""
    height, width, channels = photo.pixels.shape
    bits = 8 * photo.pixels.dtype.itemsize
    kind = photo.source.kind if photo.source else ""
    rows = [f"{width} × {height}, {width * height / 1e6:.1f} megapixels"]  # noqa: RUF001
    rows.append(f"{kind}, {bits} bits, {'grey' if channels == 1 else 'colour'}")
    if photo.alpha is not None:
        rows[-1] += ", transparency"
    return {
        "width": width,
        "height": height,
        "lines": [*rows, *words_of(photo), *photo.notes],
    }


def words_of(photo: images.Photo) -> list[str]:
    """What a file says of itself: camera, description, comments."""
    kept = dict(photo.metadata)
    exif = Image.Exif()
    try:
        exif.load(kept.get("exif", b""))
        tags = ExifTags.Base
        said = [exif.get(tags.Make), exif.get(tags.Model)]
        words = [" ".join(str(word) for word in said if word), exif.get(tags.ImageDescription)]
    except Exception:  # damaged EXIF, which is kept as it is
        words = []
    words += [v.decode("utf-8", "replace") for k, v in kept.items() if k.startswith("text:")]
    return [str(word)[:200] for word in words if word]
