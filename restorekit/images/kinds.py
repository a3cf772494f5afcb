"""The formats there are, and how their libraries are kept quiet."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
from PIL import ExifTags, features

from ..errors import RestorekitError

# What these libraries have to say reaches the user as a RestorekitError, or not at all.
warnings.filterwarnings("ignore", module=r"PIL\.")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
for _library in ("PIL", "tifffile", "pillow_heif"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)

KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF",
         ".tiff": "TIFF", ".bmp": "BMP", ".avif": "AVIF"}  # fmt: skip
JPEGS = ("JPEG", "MPO")  # a phone's MPO begins with a JPEG
READ_ONLY: dict[str, str] = {}
if not features.check("avif"):
    del KINDS[".avif"]
HEIC = (".heic", ".heif", ".hif")  # phones' photos, which are read where pillow-heif is there
try:
    import pillow_heif
except ImportError:
    pass
else:
    pillow_heif.register_heif_opener(thumbnails=False)
    READ_ONLY = dict.fromkeys(HEIC, "HEIF")
SUFFIXES: frozenset[str] = frozenset({**KINDS, **READ_ONLY})
RAW = frozenset(
    f".{suffix}"
    for suffix in ("3fr", "arw", "cr2", "cr3", "dng", "erf", "kdc", "mrw", "nef", "nrw", "orf",
                   "pef", "raf", "raw", "rw2", "sr2", "srw", "x3f")
)  # fmt: skip

TAG = ExifTags.Base
# What a TIFF's own tags say of the photo, and not of how its samples lie.
WORDS = {TAG.DocumentName, TAG.ImageDescription, TAG.Make, TAG.Model, TAG.Software, TAG.DateTime,
         TAG.Artist, TAG.HostComputer, TAG.Copyright, TAG.Rating, TAG.RatingPercent, TAG.XPTitle,
         TAG.XPComment, TAG.XPAuthor, TAG.XPKeywords, TAG.XPSubject}  # fmt: skip
SIZES = {TAG.ImageWidth, TAG.ImageLength, TAG.ExifImageWidth, TAG.ExifImageHeight}

DECODERS = re.compile(
    rb"libpng |\w*(TIFF|LZW|ZIP|JPEG|PackBits|Fax|LogL)\w*: |Corrupt JPEG|Premature end"
    rb"|Invalid SOS|(\S+: )?tempfile\.tif: |Warning, "
    rb"|\.?/?\S*: (Warning, |Cannot |Read error|Not enough|Decoding)"
)
HARMLESS = re.compile(rb"Unknown field with tag|eXIf|iCCP|sRGB|cHRM|gAMA")  # told, or no loss

_stderr = threading.Lock()


def unsupported(path: str | os.PathLike[str], head: bytes) -> str | None:
    """What to say of a photo in a format that is known and not read here; None for any other."""
    suffix = Path(path).suffix.lower()
    if suffix in RAW:
        what = "is a camera's RAW file, not yet a photo"
        return f"{what}; develop it first, for instance with darktable, into a 16-bit TIFF"
    heic = head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heim", b"mif1", b"msf1")
    if not READ_ONLY and (heic or suffix in HEIC):
        return "is HEIC, as phones write it; pip install 'restorekit[heif]' to read it"
    return None


@contextlib.contextmanager
def overheard() -> Iterator[list[str]]:
    """What libtiff, libpng and libjpeg say on file descriptor 2, past every handler of Python's.

    The list has a decoder's warnings when the block is over, and what others wrote meanwhile
    goes on to where it was meant for.
    """
    heard: list[str] = []
    if sys.__stderr__ is None:  # started without one: 2 may be any file by now
        yield heard
        return
    with _stderr, tempfile.TemporaryFile() as aside:
        saved = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            yield heard
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            aside.seek(0)
            for line in aside.read(1 << 20).splitlines(keepends=True):
                if not DECODERS.match(line):
                    os.write(2, line)
                elif not HARMLESS.search(line):
                    heard.append(" ".join(line.decode(errors="replace").split()))


def reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def error_of(path: str | os.PathLike[str], what: str) -> RestorekitError:
    """`<path>: what is wrong; what to do`, on one line whatever the file is called."""
    return RestorekitError(" ".join(f"{os.fspath(path)}: {what}".splitlines()))
