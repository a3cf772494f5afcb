"""From photos to files."""

from __future__ import annotations

import dataclasses
import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image
from PIL.PngImagePlugin import putchunk

from .. import files
from ..errors import RestorekitError
from . import exif as exifs
from .kinds import KINDS, error_of, reason
from .photo import Photo

LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65536}
GOOD = 95  # quality, at which restored pixels survive
SEGMENT = 65500  # bytes of EXIF, XMP or a comment that fit into a JPEG
NAMES = {"exif": "EXIF", "xmp": "XMP", "icc_profile": "colour profile"}


def check_writable(path: str | os.PathLike[str], photo: Photo | None = None) -> None:
    """Raises what `write` would, as far as it can be known before the work. Creates nothing.

    Raises:
        RestorekitError: if suffix or place will not do, or cannot hold the photo.
    """
    kind = KINDS.get(Path(path).suffix.lower())
    if kind is None:
        raise error_of(path, f"its suffix names no known format; use one of {' '.join(KINDS)}")
    folder = Path(path).absolute().parent
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise error_of(path, f"cannot be written, {folder} is a file; choose another folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise error_of(path, f"cannot be written, {folder} is read-only; choose another folder")
        if Path(path).is_dir():
            raise error_of(path, "is a folder; name a file in it")
    except (OSError, ValueError) as error:
        raise error_of(path, f"cannot be written ({reason(error)}); write elsewhere") from error
    if photo is None:
        return
    if photo.alpha is not None and kind in ("JPEG", "BMP"):
        raise error_of(
            path, f"{kind} cannot hold the transparency of this photo; write .png instead"
        )
    check_size(path, photo.pixels.shape[:2])


def check_size(path: str | os.PathLike[str], size: Sequence[int]) -> None:
    """Raises RestorekitError where the format that a suffix names has no room for (H, W)."""
    kind = KINDS[Path(path).suffix.lower()]
    if max(size) > (longest := LONGEST_SIDE.get(kind, 1 << 30)):
        raise error_of(path, f"{kind} ends at {longest} pixels a side; write .png instead")


def write(
    path: str | os.PathLike[str],
    photo: Photo,
    *,
    quality: int | None = None,
    replace: bool = True,
) -> None:
    """Writes a photo, whole or not at all, in the format its suffix names; makes its folder.

    PNG, TIFF and BMP are lossless, WebP from quality 100 on; JPEG and AVIF never quite. TIFF holds
    samples of any type, PNG those of 8 and 16 bits; elsewhere they are rounded to 8. Grey with
    alpha is stored as RGBA, grey WebP as RGB. What a format has no place for is left out; see
    `left_out`.

    Args:
        quality: 1 to 100; by default 95, and that of the JPEG it came from where that was finer.
        replace: whether a file that is there already gives way.

    Raises:
        RestorekitError: if it cannot be written; then nothing is left behind.
    """
    check_writable(path, photo)
    path = Path(path)
    files.check_target(path)
    try:
        kind = KINDS[path.suffix.lower()]
        data = encode(_fitting(photo, kind), kind, quality)
        files.make_folder(path.parent)
        files.write(path, data, replace)
    except RestorekitError:
        raise
    except Exception as error:
        what = f"cannot be written ({reason(error)}); check the free space, or write elsewhere"
        raise error_of(path, what) from error


def copy(path: str | os.PathLike[str], photo: Photo, *, replace: bool = True) -> bool:
    """Writes the very file that a photo was read from, if it has the format that the suffix names.

    Another encoding would lose something for nothing.

    Returns:
        Whether it has, and was written.

    Raises:
        RestorekitError: as `write` does.
    """
    source, path = photo.source, Path(path)
    if source is None or source.kind != KINDS.get(path.suffix.lower()):
        return False
    files.make_folder(path.parent)
    files.write(path, files.read(source.path), replace)
    return True


def left_out(path: str | os.PathLike[str], photo: Photo) -> tuple[str, ...]:
    """What the format that a suffix names has no place for, in words."""
    kind = KINDS[Path(path).suffix.lower()]
    kept = _fitting(photo, kind).metadata
    lost = sorted(
        {NAMES.get(key, "comments") for key, value in photo.metadata if (key, value) not in kept}
    )
    if not lost:
        return ()
    what = " and ".join([", ".join(lost[:-1]), lost[-1]] if lost[1:] else lost)
    return (f"{kind} has no place for its {what}: left out; a PNG keeps them",)


def _fitting(photo: Photo, kind: str) -> Photo:
    """With the metadata that a format has a place for. A profile may take several segments."""

    def fits(key: str, value: bytes) -> bool:
        if kind == "BMP":
            return False
        if key.startswith("text:"):
            short = key == "text:Comment" and len(value) < SEGMENT
            return kind == "PNG" or (kind == "JPEG" and short)
        return kind != "JPEG" or key == "icc_profile" or len(value) < SEGMENT

    return dataclasses.replace(
        photo, metadata=tuple((k, v) for k, v in photo.metadata if fits(k, v))
    )


def encode(photo: Photo, kind: str, quality: int | None) -> bytes:
    """The bytes of a file.

    Args:
        kind: one of `KINDS`' values.
        quality: see `write`.
    """
    if quality is None:
        own = photo.quality if kind == "JPEG" else None
        quality = max(own or GOOD, GOOD)  # a coarse JPEG's own would spoil what was restored
    if kind == "PNG" and photo.pixels.dtype == np.float32:
        photo = photo.at_depth(np.uint16)
    elif kind not in ("PNG", "TIFF"):
        photo = photo.at_depth(np.uint8)
    if photo.is_grey and (photo.alpha is not None or kind == "WEBP"):
        photo = photo.with_pixels(np.repeat(photo.pixels, 3, axis=2))
    samples = photo.pixels[..., 0] if photo.is_grey else photo.pixels
    if photo.alpha is not None:
        samples = np.dstack([samples, photo.alpha])
    kept: dict[str, Any] = {k: v for k, v in photo.metadata if not k.startswith("text:")}
    texts = {k.removeprefix("text:"): v for k, v in photo.metadata if k.startswith("text:")}
    buffer = io.BytesIO()
    if kind == "PNG":
        order = [0] if photo.is_grey else [2, 1, 0, 3][: samples.shape[2]]
        bgr = np.ascontiguousarray(np.atleast_3d(samples)[..., order])
        data = cv2.imencode(".png", bgr)[1].tobytes()
        buffer.write(data[:33])  # the header; OpenCV's own XMP is in a chunk where few look for it
        if photo.dpi:
            per_metre = (round(dots / 0.0254) for dots in photo.dpi)
            putchunk(buffer, b"pHYs", struct.pack(">IIB", *per_metre, 1))
        if "icc_profile" in kept:
            putchunk(buffer, b"iCCP", b"ICC profile\0\0", zlib.compress(kept["icc_profile"]))
        if "exif" in kept:
            putchunk(buffer, b"eXIf", kept["exif"].removeprefix(b"Exif\0\0"))
        if "xmp" in kept:
            putchunk(buffer, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0", kept["xmp"])
        for key, value in texts.items():
            putchunk(buffer, b"iTXt", key.encode("latin-1", "replace") + b"\0\0\0\0\0", value)
        buffer.write(data[33:])
    elif kind == "TIFF":
        exif = Image.Exif()
        exif.load(kept.get("exif", b""))
        extra = exifs.tags_of(exif)
        if "xmp" in kept:
            extra.append((700, "B", len(kept["xmp"]), kept["xmp"], True))
        tifffile.imwrite(
            buffer, samples, photometric="minisblack" if photo.is_grey else "rgb",
            extrasamples=None if photo.alpha is None else ["unassalpha"], compression="zlib",
            predictor=photo.pixels.dtype != np.float32, metadata=None, software=False,
            iccprofile=kept.get("icc_profile"), extratags=extra,
            resolution=photo.dpi, resolutionunit="INCH" if photo.dpi else None,
        )  # fmt: skip
        exifs.append(buffer, exif)
    else:
        options: dict[str, Any] = {"quality": quality, "subsampling": "4:4:4"}
        if kind == "BMP":
            options = {}
        if kind == "WEBP":
            options = {"quality": quality, "lossless": quality >= 100, "exact": True}
        if kind == "JPEG" and "Comment" in texts:
            options["comment"] = texts["Comment"]
        if photo.dpi and kind in ("JPEG", "BMP"):
            options["dpi"] = photo.dpi
        Image.fromarray(samples).save(buffer, kind, **options, **kept)
    return buffer.getvalue()
