"""The formats there are, and how their libraries are kept quiet."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator

import cv2
from PIL import ExifTags, features

from ..errors import RestorekitError

# What these libraries have to say reaches the user as a RestorekitError, or not at all.
warnings.filterwarnings("ignore", module=r"PIL\.")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
for _library in ("PIL", "tifffile"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)

KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF",
         ".tiff": "TIFF", ".bmp": "BMP", ".avif": "AVIF"}  # fmt: skip
if not features.check("avif"):
    del KINDS[".avif"]
SUFFIXES: frozenset[str] = frozenset(KINDS)

TAG = ExifTags.Base
TEXTS = {TAG.ImageDescription, TAG.Make, TAG.Model, TAG.Software, TAG.DateTime, TAG.Artist,
         TAG.Copyright}  # fmt: skip
SIZES = {TAG.ImageWidth, TAG.ImageLength, TAG.ExifImageWidth, TAG.ExifImageHeight}

_stderr = threading.Lock()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Shuts file descriptor 2, where libtiff and libpng write past every handler of Python's."""
    if sys.__stderr__ is None:  # started without one: 2 may be any file by now
        yield
        return
    with _stderr, open(os.devnull, "wb") as nowhere:
        saved = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def error_of(path: str | os.PathLike[str], what: str) -> RestorekitError:
    """`<path>: what is wrong; what to do`, on one line whatever the file is called."""
    return RestorekitError(" ".join(f"{os.fspath(path)}: {what}".splitlines()))
