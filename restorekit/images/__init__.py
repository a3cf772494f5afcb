"""The only door to image files: upright pixels, and all else the file carried.

Three libraries stand behind it, each for what it alone gets right. Pillow does every header and
reads all pictures of 8 bits; there, OpenCV would premultiply alpha and pass over damage in TIFFs.
OpenCV reads 16 bits, which Pillow would cut down to 8, and writes PNG. tifffile writes TIFF, where
the other two lose the depth or the colour profile.

What a file keeps, beyond its pixels: PNG, TIFF, WebP and AVIF keep EXIF, ICC profile and XMP. So
does JPEG, up to 64 kB each of EXIF and XMP. BMP keeps nothing. PNG keeps words (title, comment),
JPEG a comment. No format keeps EXIF's preview, which shows the unrestored photo, EXIF's sides in
pixels, which it may no longer have, or IPTC-IIM (caption, keywords, credit). A note tells what is
left out.
"""

from .kinds import HEIC, KINDS, RAW, READ_ONLY, SUFFIXES
from .photo import Photo
from .reading import below, megapixels, read
from .source import Coding, Component, Source
from .writing import check_size, check_writable, copy, encode, left_out, write

__all__ = [
    "HEIC",
    "KINDS",
    "RAW",
    "READ_ONLY",
    "SUFFIXES",
    "Coding",
    "Component",
    "Photo",
    "Source",
    "below",
    "check_size",
    "check_writable",
    "copy",
    "encode",
    "left_out",
    "megapixels",
    "read",
    "write",
]
