"""From files to photos."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import tifffile
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from .. import files
from ..errors import RestorekitError
from . import budget, integrity
from .kinds import (
    JPEGS,
    KINDS,
    READ_ONLY,
    SIZES,
    SUFFIXES,
    TAG,
    WORDS,
    error_of,
    overheard,
    reason,
    unsupported,
)
from .photo import Photo
from .source import Source


def below(folder: Path) -> list[Path]:
    """All files below a folder whose suffix is a picture's, sorted by their path."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def read(
    path: str | os.PathLike[str], *, max_megapixels: float = 178, least: int | None = None
) -> Photo:
    """Reads an image file, by its content and not its suffix.

    Palettes and CMYK become RGB, fewer than 8 bits become 8; TIFFs of floats on [0, 1] stay so. A
    file of more than `max_megapixels`, which may be infinite, is refused by its header. For a look
    at it, a JPEG may be decoded at a half, a quarter or an eighth, with sides of `least` or more.

    Raises:
        RestorekitError: if the file is not one whole picture that we can read exactly.
    """
    if not max_megapixels > 0:  # NaN is not
        what = f"cannot be held to {max_megapixels:g} megapixels; give a number above 0"
        raise error_of(path, what)
    with files.opened(path) as file:
        return _read(file, path, max_megapixels, least)


def _read(
    file: BinaryIO, path: str | os.PathLike[str], max_megapixels: float, least: int | None
) -> Photo:
    try:
        head = file.read(16)
        if not head:
            raise RestorekitError("is empty (0 bytes); copy it again from its source")
        if what := unsupported(path, head):
            raise RestorekitError(what)
        photo = _decode(file, max_megapixels, least)
        return replace(photo, source=replace(photo.source or Source(Path(path)), path=Path(path)))
    except Exception as error:  # decoders raise what they like on damaged bytes
        if isinstance(error, RestorekitError):
            what = str(error)
        elif isinstance(error, Image.DecompressionBombError):  # Pillow's, while it opens
            remedy = "scale it down, or raise --max-megapixels where the command has it"
            what = f"has more than {max_megapixels:g} megapixels; {remedy}"
        elif isinstance(error, MemoryError):
            what = "does not fit into the memory that is free; close other programs"
        elif isinstance(error, UnidentifiedImageError):
            what = f"is damaged, or not an image; give one of {' '.join(KINDS)}"
        elif isinstance(error, OSError) and error.errno:
            what = f"cannot be read ({reason(error)}); check its name and permissions"
        else:
            what = f"is damaged or incomplete ({reason(error)}); copy it again from its source"
        raise error_of(path, what) from error


def megapixels(path: str | os.PathLike[str]) -> float:
    """The size of a picture by its header; 0 where that cannot be read."""
    try:
        with files.opened(path) as file:
            width, height = _open(file).size
    except Exception:  # `read` will say what is wrong
        return 0.0
    return width * height / 1e6


def _decode(file: BinaryIO, max_megapixels: float, least: int | None) -> Photo:
    budget.allow(max_megapixels)
    length = os.fstat(file.fileno()).st_size
    if (page := _float_page(file)) is not None:
        size = (page.imagewidth, page.imagelength)
        budget.check(size, "TIFF", 32, length, max_megapixels)
        integrity.tiff(file)
        return _decode_floats(file, page)
    image = _open(file)
    budget.check(image.size, image.format or "", 8, length, max_megapixels)
    if (frames := _frames(image, file)) > 1:
        many = f"more than {integrity.PAGES}" if frames > integrity.PAGES else str(frames)
        raise RestorekitError(f"holds {many} pictures, not one; extract the one to be restored")
    budget.check_profile(image.info.get("icc_profile"))

    tags = getattr(image, "tag_v2", {})
    if tags.get(TAG.NewSubfileType, 0) & 1:
        raise RestorekitError("begins with a preview; extract the photo behind it")
    layout = str([tile.args for tile in image.tile])  # RGB;16B and the like, which the mode hides
    deep = ";16" in layout if image.format == "PNG" else 16 in tags.get(TAG.BitsPerSample, ())
    if image.mode in ("I", "F") or (image.mode.startswith("I;16") and not deep):
        raise RestorekitError("has samples of neither 8 nor 16 bits; save it with 16")
    if deep:
        budget.check(image.size, image.format or "", 16, length, max_megapixels)
    planes, premultiplied = tags.get(TAG.PlanarConfiguration) == 2, tags.get(338) == (1,)
    if deep and (planes or premultiplied or image.mode == "CMYK"):
        what = "has 16 bits in planes, CMYK or with premultiplied alpha"
        raise RestorekitError(f"{what}; save it as plain RGB")
    grey = image.mode in ("1", "L", "LA", "La", "I;16") or "LA;16" in layout
    mode = ("L" if grey else "RGB") + ("A" if image.has_transparency_data else "")

    integrity.check(file, image.format or "", image.width * image.height)
    if image.format == "PNG":  # the checksums, which load() skips
        _open(file).verify()
    if least is not None:
        image.draft(None, (least, least))
    # Pillow decodes even what it cuts down, since it notices damage that OpenCV passes over.
    warned: list[str] = []
    quiet = contextlib.nullcontext(warned)
    with overheard() if deep or image.format == "TIFF" else quiet as warned:
        image.load()
        samples = _deep(file, mode) if deep else np.array(image.convert(mode))
    orientation, metadata, lost = _metadata(image.info, image.getexif, image.format == "TIFF")
    samples = np.atleast_3d(samples)
    if deep and tags.get(TAG.PhotometricInterpretation) == 0:  # white is zero
        samples = 65535 - samples
    if samples.shape[2] < len(mode):  # OpenCV leaves the one transparent grey of a PNG alone
        clear = samples == image.info["transparency"]
        samples = np.dstack([samples, np.where(clear, 0, 65535).astype(np.uint16)])
    if samples.shape[1::-1] != image.size or samples.shape[2] != len(mode):
        raise ValueError("a layout that is not supported")

    samples = _upright(samples, orientation)
    pixels = np.ascontiguousarray(samples[..., : 1 if grey else 3])
    alpha = np.ascontiguousarray(samples[..., -1]) if mode.endswith("A") else None
    dpi = _dpi(image.info.get("dpi", ()))
    notes = (*_conversion(image), *lost, *_iptc(image.info, tags), *_told(warned))
    source = Source(kind=image.format or "", orientation=orientation)
    metadata += _texts(image)
    return Photo(pixels, alpha, metadata, dpi, _quality(image), notes, source)


def _conversion(image: ImageFile.ImageFile) -> tuple[str, ...]:
    """What the user should know of the conversion to RGB or grey."""
    if image.mode == "CMYK":
        return ("CMYK was converted to RGB, without a colour profile",)
    if image.mode in ("P", "PA"):
        return ("a palette was converted to RGB",)
    if image.format == "HEIF" and image.info.get("bit_depth", 8) > 8:
        return (f"its {image.info['bit_depth']} bits were read as 8",)
    return ()


def _told(warned: list[str]) -> tuple[str, ...]:
    """What a decoder had to say of a file that it decoded, once each."""
    return tuple(f"the decoder warns: {line}" for line in dict.fromkeys(warned[:3]))


def _iptc(info: Mapping[Any, Any], tags: Container[int]) -> tuple[str, ...]:
    """Tells of IPTC-IIM, which a JPEG has among Photoshop's blocks and a TIFF in a tag."""
    if info.get("photoshop", {}).get(0x0404) or TAG.IPTCNAA in tags:
        return ("its IPTC (caption, keywords, credit) was left out",)
    return ()


def _texts(image: ImageFile.ImageFile) -> tuple[tuple[str, bytes], ...]:
    """A JPEG's comment, and what a PNG says in words, as (`text:Title`, UTF-8)."""
    found: dict[str, Any] = dict(getattr(image, "text", {}))
    if image.format in JPEGS and (comment := image.info.get("comment")):
        found["Comment"] = comment.decode("utf-8", "replace")
    return tuple(
        (f"text:{key}", str(value).encode("utf-8", "replace"))
        for key, value in found.items()
        if value and key != "XML:com.adobe.xmp" and not key.startswith("Raw profile")
    )


def _upright(samples: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W, C) as EXIF's orientation says it is to be seen."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def _float_page(file: BinaryIO) -> tifffile.TiffPage | None:
    """The one page of a TIFF of floats; None for any other file."""
    file.seek(0)
    if file.read(2) not in (b"II", b"MM"):
        return None
    with contextlib.suppress(Exception):  # Pillow will say what is wrong
        file.seek(0)
        page = tifffile.TiffFile(file).pages.first
        if np.dtype(page.dtype).kind == "f" and integrity.tiff_pages(file) == 1:
            return page
    return None


def _decode_floats(file: BinaryIO, page: tifffile.TiffPage) -> Photo:
    if page.planarconfig == 2 or 1 in page.extrasamples:
        what = "has floats in planes or with premultiplied alpha"
        raise RestorekitError(f"{what}; save it as plain RGB")
    file.seek(0)
    with overheard() as warned:  # OpenCV turns it upright
        read = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    samples = np.atleast_3d(np.empty(0) if read is None else read)
    if samples.dtype != np.float32 or not samples.size or samples.shape[2] not in (1, 3, 4):
        raise RestorekitError("is damaged, or a TIFF of other than 32-bit floats; save it as such")
    samples = samples[..., [[0], [], [2, 1, 0], [2, 1, 0, 3]][samples.shape[2] - 1]]
    if not (samples >= 0).all() or not (samples <= 1).all():  # NaN is neither
        raise RestorekitError("holds floats outside 0..1; scale them into that range")

    def tag(code: int) -> Any:
        return page.tags[code].value if code in page.tags else None

    def exif() -> Image.Exif:
        """What Pillow's `getexif` gives for the TIFFs it opens."""
        found = Image.Exif()
        found.bigtiff, found.endian = page.parent.is_bigtiff, page.parent.byteorder
        found.load_from_fp(file, page.offset)
        return found

    def dots(code: int) -> float:
        above, below = tag(code)
        return above / below * {None: 1.0, 2: 1.0, 3: 2.54}[tag(TAG.ResolutionUnit)]

    info = {"icc_profile": tag(TAG.InterColorProfile), "xmp": tag(TAG.XMLPacket)}
    _, metadata, lost = _metadata(info, exif, tiff=True)
    dpi = _dpi(map(dots, (TAG.XResolution, TAG.YResolution)))
    alpha = np.ascontiguousarray(samples[..., 3]) if samples.shape[2] == 4 else None
    notes = (*lost, *_iptc(info, page.tags), *_told(warned))
    return Photo(np.ascontiguousarray(samples[..., :3]), alpha, metadata, dpi, notes=notes)


def _dpi(dots: Iterable[Any]) -> tuple[float, float] | None:
    """Of the dots an inch across and down, which may be none, or fail to be worked out."""
    with contextlib.suppress(Exception):  # a fraction with nothing below, say
        across, down = (float(number) for number in dots)
        if 1 <= across < 1e5 and 1 <= down < 1e5:
            return across, down
    return None


def _quality(image: ImageFile.ImageFile) -> int | None:
    """Of a JPEG, from the sum of its luminance table, which the libraries scale by it."""
    tables = getattr(image, "quantization", None)
    if image.format not in JPEGS or not tables or 0 not in tables:
        return None
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG", quality=50)  # the table that is scaled
    base = np.array(Image.open(buffer).quantization[0])  # type: ignore[attr-defined]
    qualities = np.arange(1, 101)
    scales = np.where(qualities < 50, 5000 / qualities, 200 - 2 * qualities)
    sums = ((base * scales[:, None] + 50) // 100).clip(1, 255).sum(1)
    return int(qualities[np.abs(sums - sum(tables[0])).argmin()])


def _open(file: BinaryIO) -> ImageFile.ImageFile:
    file.seek(0)
    try:
        return Image.open(file, formats=sorted({*KINDS.values(), *READ_ONLY.values()}))
    except UnidentifiedImageError:
        dtype = None
        with contextlib.suppress(Exception):  # a sound TIFF that Pillow has no mode for?
            file.seek(0)
            dtype = tifffile.TiffFile(file).pages.first.dtype
        if dtype is None:
            raise
        what = f"is damaged, or a TIFF of an uncommon layout ({dtype})"
        raise RestorekitError(f"{what}; save it as 8- or 16-bit RGB") from None


def _frames(image: ImageFile.ImageFile, file: BinaryIO) -> int:
    if image.format == "MPO":  # a phone's JPEG: previews or a depth map come after the photo
        return 1
    if image.format == "TIFF":  # Pillow takes quadratic time to count
        return integrity.tiff_pages(file)
    frames: int = getattr(image, "n_frames", 1)
    return frames


def _metadata(
    info: Mapping[Any, Any], getexif: Callable[[], Image.Exif], tiff: bool
) -> tuple[int, tuple[tuple[str, bytes], ...], tuple[str, ...]]:
    """The orientation still to be applied; what `write` keeps, where it is 1; notes of the loss.

    To be called after loading, which finds EXIF behind the pixels of a PNG, and which turns the
    pixels of a TIFF upright (as OpenCV does) and takes the orientation out of its tags.
    """
    orientation, kept = 1, {key: info.get(key) for key in ("icc_profile", "xmp")}
    notes: tuple[str, ...] = ()
    try:
        exif = getexif()
        said = exif.get(TAG.Orientation, 1)
        orientation = said if isinstance(said, int) and 1 <= said <= 8 else 1
        if tiff:  # there, it stands among the tags of the layout
            for tag in set(exif) - WORDS - {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}:
                del exif[tag]
        if exif.get_ifd(ExifTags.IFD.IFD1) and not tiff:
            notes = ("its preview, which shows it as it was, was left out",)
        _forget_size(exif)
        if TAG.Orientation in exif:
            exif[TAG.Orientation] = 1
        exif.bigtiff = False  # EXIF has short offsets, whatever the TIFF it was in
        kept["exif"] = exif.tobytes() if len(exif) else None
    except Exception:  # damaged EXIF is no reason to refuse the photo
        notes = ("its EXIF cannot be read and was left out",)
    if isinstance(kept["xmp"], bytes):
        kept["xmp"] = re.sub(rb"(tiff:Orientation(?:=\"|>))[2-8]", rb"\g<1>1", kept["xmp"])
    metadata = tuple((k, v) for k, v in kept.items() if v and isinstance(v, bytes))
    return orientation, metadata, notes


def _forget_size(exif: Image.Exif) -> None:
    """Deletes the sides in pixels, which are others once the photo is upright or enlarged."""
    for tag in SIZES & set(exif):
        del exif[tag]
    if ExifTags.IFD.Exif in exif:
        details = exif.get_ifd(ExifTags.IFD.Exif)
        for tag in SIZES & set(details):
            del details[tag]


def _deep(file: BinaryIO, mode: str) -> np.ndarray:
    file.seek(0)
    samples = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16:
        raise ValueError("16-bit samples that OpenCV cannot read")
    if samples.ndim == 2:
        return samples
    order = {"LA": [0, 3], "RGB": [2, 1, 0], "RGBA": [2, 1, 0, 3]}[mode]
    return np.asarray(samples[..., order])
