"""The only door to image files: upright pixels, and all else the file carried.

Three libraries stand behind it, each for what it alone gets right. Pillow does every header and
reads all pictures of 8 bits; there, OpenCV would premultiply alpha and pass over damage in TIFFs.
OpenCV reads 16 bits, which Pillow would cut down to 8, and writes PNG. tifffile writes TIFF, where
the other two lose the depth or the colour profile.

What a file keeps, beyond its pixels: PNG, WebP and AVIF keep EXIF, ICC profile and XMP. So does
JPEG, up to 64 kB each of EXIF and XMP. TIFF keeps ICC, XMP and the texts in EXIF (make, date,
artist, ...). BMP keeps nothing. The preview in EXIF is left out: it shows the unrestored photo.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import secrets
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import EllipsisType
from typing import Any, BinaryIO

import cv2
import numpy as np
import tifffile
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin, UnidentifiedImageError, features
from PIL.PngImagePlugin import putchunk

from .errors import RestorekitError

# What these libraries have to say reaches the user as a RestorekitError, or not at all.
warnings.filterwarnings("ignore", module=r"PIL\.")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
for _library in ("PIL", "tifffile"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)

_KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF",
          ".tiff": "TIFF", ".bmp": "BMP", ".avif": "AVIF"}  # fmt: skip
if not features.check("avif"):
    del _KINDS[".avif"]
SUFFIXES: frozenset[str] = frozenset(_KINDS)

_LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65536}
_SEGMENT = 65500  # bytes of EXIF or XMP that fit into a JPEG
_TAG = ExifTags.Base
_TEXTS = {_TAG.ImageDescription, _TAG.Make, _TAG.Model, _TAG.Software, _TAG.DateTime, _TAG.Artist,
          _TAG.Copyright}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Photo:
    """An upright picture and what else its file carried.

    Attributes:
        pixels: (H, W, 3) RGB or (H, W, 1) grey, uint8 or uint16, in the file's own colour space.
        alpha: (H, W) of the same dtype, not premultiplied; None if the file had none.
        metadata: pairs of `exif`, `icc_profile` or `xmp` and its bytes. A profile that does not
            fit the number of channels is dropped.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    metadata: tuple[tuple[str, bytes], ...] = ()

    def __post_init__(self) -> None:
        (*size, channels), dtype = self.pixels.shape, self.pixels.dtype
        if len(size) != 2 or channels not in (1, 3) or dtype not in (np.uint8, np.uint16):
            raise ValueError(f"not (H, W, 1 or 3) of uint8 or uint16: {size}, {channels}, {dtype}")
        if self.alpha is not None and (self.alpha.shape, self.alpha.dtype) != (tuple(size), dtype):
            raise ValueError(f"alpha is {self.alpha.shape} {self.alpha.dtype}, not {size} {dtype}")
        space = b"GRAY" if self.is_grey else b"RGB "  # bytes 16 to 20 of a profile
        fitting = ((k, v) for k, v in self.metadata if k != "icc_profile" or v[16:20] == space)
        object.__setattr__(self, "metadata", tuple(fitting))

    @property
    def is_grey(self) -> bool:
        return bool(self.pixels.shape[2] == 1)

    @property
    def peak(self) -> int:
        """The sample value of white: 255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)

    def with_pixels(
        self, pixels: np.ndarray, alpha: np.ndarray | EllipsisType | None = ...
    ) -> Photo:
        """The same photo with other pixels, and the same alpha unless another (or None) is given.

        Raises:
            ValueError: if pixels and alpha differ in size or dtype.
        """
        return replace(self, pixels=pixels, alpha=self.alpha if alpha is ... else alpha)

    def rgb8(self) -> np.ndarray:
        """(H, W, 3) uint8, without the alpha."""
        return np.repeat(_eight_bits(self.pixels), 3 if self.is_grey else 1, axis=2)


def below(folder: Path) -> list[Path]:
    """All files below a folder whose suffix is a picture's, sorted by their path."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def read(path: str | os.PathLike[str], *, max_megapixels: float = 178) -> Photo:
    """Reads an image file, by its content and not its suffix.

    Palettes and CMYK become RGB, fewer than 8 bits become 8. A file of more than `max_megapixels`
    is refused by its header.

    Raises:
        RestorekitError: if the file is not one whole picture that we can read exactly.
    """
    try:
        with open(path, "rb") as file:
            return _decode(file, max_megapixels)
    except Exception as error:  # decoders raise what they like on damaged bytes
        if isinstance(error, RestorekitError):
            what = str(error)
        elif isinstance(error, Image.DecompressionBombError):
            what = f"has more than {max_megapixels:g} megapixels; scale it down or crop it"
        elif isinstance(error, UnidentifiedImageError):
            what = f"is damaged, or not an image; give one of {' '.join(_KINDS)}"
        elif isinstance(error, OSError) and error.errno:
            what = f"cannot be read ({_reason(error)}); check its name and permissions"
        else:
            what = f"is damaged or incomplete ({_reason(error)}); copy it again from its source"
        raise _error(path, what) from error


def megapixels(path: str | os.PathLike[str]) -> float:
    """The size of a picture by its header; 0 where that cannot be read."""
    try:
        with open(path, "rb") as file:
            width, height = _open(file).size
    except Exception:  # `read` will say what is wrong
        return 0.0
    return width * height / 1e6


def check_writable(path: str | os.PathLike[str], photo: Photo | None = None) -> None:
    """Raises what `write` would, as far as it can be known before the work. Creates nothing.

    Raises:
        RestorekitError: if suffix or place will not do, or cannot hold the photo.
    """
    kind = _KINDS.get(Path(path).suffix.lower())
    if kind is None:
        raise _error(path, f"its suffix names no known format; use one of {' '.join(_KINDS)}")
    folder = Path(path).absolute().parent
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise _error(path, f"cannot be written, {folder} is a file; choose another folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _error(path, f"cannot be written, {folder} is read-only; choose another folder")
        if Path(path).is_dir():
            raise _error(path, "is a folder; name a file in it")
    except (OSError, ValueError) as error:
        raise _error(path, f"cannot be written ({_reason(error)}); write elsewhere") from error
    if photo is None:
        return
    if photo.alpha is not None and kind in ("JPEG", "BMP"):
        raise _error(path, f"{kind} cannot hold the transparency of this photo; write .png instead")
    if max(photo.pixels.shape) > (longest := _LONGEST_SIDE.get(kind, 1 << 30)):
        raise _error(path, f"{kind} ends at {longest} pixels a side; write .png instead")


def write(
    path: str | os.PathLike[str], photo: Photo, *, quality: int = 95, scratch: Path | None = None
) -> None:
    """Writes a photo, whole or not at all, in the format its suffix names; makes its folder.

    Until it is whole, the file is in the folder `scratch` (by default its own), under a name that
    starts with a dot.

    PNG, TIFF and BMP are lossless, WebP from quality 100 on; JPEG and AVIF never quite. Formats of
    8 bits get 16-bit samples rounded. Grey with alpha is stored as RGBA, grey WebP as RGB.

    Raises:
        RestorekitError: if it cannot be written; then nothing is left behind.
    """
    check_writable(path, photo)
    # Not tempfile: its files are private to the user, where a photo should follow the umask.
    path = Path(path)
    temporary = (scratch or path.parent) / f".{secrets.token_hex(8)}.part"
    try:
        data = _encode(photo, _KINDS[path.suffix.lower()], quality)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(data)
        temporary.replace(path)
    except Exception as error:
        what = f"cannot be written ({_reason(error)}); check the free space, or write elsewhere"
        raise _error(path, what) from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)


def _decode(file: BinaryIO, max_megapixels: float) -> Photo:
    if not file.read(1):
        raise RestorekitError("is empty (0 bytes); copy it again from its source")
    # Pillow refuses at twice its own limit, which makes way where the caller allows for more.
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, int(max_megapixels * 5e5))
    image = _open(file)
    if image.width * image.height > max_megapixels * 1e6:
        raise Image.DecompressionBombError
    if (frames := _frames(image)) > 1:
        raise RestorekitError(f"holds {frames} pictures, not one; extract the one to be restored")

    tags = getattr(image, "tag_v2", {})
    layout = str([tile.args for tile in image.tile])  # RGB;16B and the like, which the mode hides
    deep = ";16" in layout if image.format == "PNG" else 16 in tags.get(_TAG.BitsPerSample, ())
    if image.mode in ("I", "F") or (image.mode.startswith("I;16") and not deep):
        raise RestorekitError("has samples of neither 8 nor 16 bits; save it with 16")
    planes, premultiplied = tags.get(_TAG.PlanarConfiguration) == 2, tags.get(338) == (1,)
    if deep and (planes or premultiplied or image.mode == "CMYK"):
        what = "has 16 bits in planes, CMYK or with premultiplied alpha"
        raise RestorekitError(f"{what}; save it as plain RGB")
    grey = image.mode in ("1", "L", "LA", "La", "I;16") or "LA;16" in layout
    mode = ("L" if grey else "RGB") + ("A" if image.has_transparency_data else "")

    if image.format == "PNG":  # the checksums, which load() skips
        _open(file).verify()
    # Pillow decodes even what it cuts down, since it notices damage that OpenCV passes over.
    with _silence() if deep or image.format == "TIFF" else contextlib.nullcontext():
        image.load()
        samples = _deep(file, mode) if deep else np.array(image.convert(mode))
    orientation, metadata = _metadata(image)
    samples = np.atleast_3d(samples)
    if deep and tags.get(_TAG.PhotometricInterpretation) == 0:  # white is zero
        samples = 65535 - samples
    if samples.shape[2] < len(mode):  # OpenCV leaves the one transparent grey of a PNG alone
        clear = samples == image.info["transparency"]
        samples = np.dstack([samples, np.where(clear, 0, 65535).astype(np.uint16)])
    if samples.shape[1::-1] != image.size or samples.shape[2] != len(mode):
        raise ValueError("a layout that is not supported")

    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    pixels = np.ascontiguousarray(samples[..., : 1 if grey else 3])
    alpha = np.ascontiguousarray(samples[..., -1]) if mode.endswith("A") else None
    return Photo(pixels, alpha, metadata)


def _open(file: BinaryIO) -> ImageFile.ImageFile:
    file.seek(0)
    try:
        return Image.open(file, formats=sorted(set(_KINDS.values())))
    except UnidentifiedImageError:
        dtype = None
        with contextlib.suppress(Exception):  # a sound TIFF that Pillow has no mode for?
            file.seek(0)
            dtype = tifffile.TiffFile(file).pages.first.dtype
        if dtype is None:
            raise
        what = f"is damaged, or a TIFF of an uncommon layout ({dtype})"
        raise RestorekitError(f"{what}; save it as 8- or 16-bit RGB") from None


def _frames(image: ImageFile.ImageFile) -> int:
    if image.format == "MPO":  # a phone's JPEG: previews or a depth map come after the photo
        return 1
    frames: int = getattr(image, "n_frames", 1)
    if isinstance(image, TiffImagePlugin.TiffImageFile) and frames > 1:
        for index in reversed(range(frames)):
            image.seek(index)
            frames -= image.tag_v2.get(_TAG.NewSubfileType, 0) & 1  # a preview
    return frames


def _metadata(image: ImageFile.ImageFile) -> tuple[int, tuple[tuple[str, bytes], ...]]:
    """The orientation still to be applied, and what `write` keeps, where it is 1.

    To be called after loading, which finds EXIF behind the pixels of a PNG, and which turns the
    pixels of a TIFF upright (as OpenCV does) and takes the orientation out of its tags.
    """
    orientation, kept = 1, {key: image.info.get(key) for key in ("icc_profile", "xmp")}
    with contextlib.suppress(Exception):  # damaged EXIF is no reason to refuse the photo
        exif = image.getexif()
        orientation = exif.get(_TAG.Orientation, 1)
        if image.format == "TIFF":  # there, it stands among the tags of the layout
            for tag in set(exif) - _TEXTS - {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}:
                del exif[tag]
        if _TAG.Orientation in exif:
            exif[_TAG.Orientation] = 1
        kept["exif"] = exif.tobytes() if len(exif) else None
    if isinstance(kept["xmp"], bytes):
        kept["xmp"] = re.sub(rb"(tiff:Orientation(?:=\"|>))[2-8]", rb"\g<1>1", kept["xmp"])
    return orientation, tuple((k, v) for k, v in kept.items() if v and isinstance(v, bytes))


def _deep(file: BinaryIO, mode: str) -> np.ndarray:
    file.seek(0)
    samples = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16:
        raise ValueError("16-bit samples that OpenCV cannot read")
    if samples.ndim == 2:
        return samples
    order = {"LA": [0, 3], "RGB": [2, 1, 0], "RGBA": [2, 1, 0, 3]}[mode]
    return np.asarray(samples[..., order])


def _encode(photo: Photo, kind: str, quality: int) -> bytes:
    if kind not in ("PNG", "TIFF"):
        alpha = None if photo.alpha is None else _eight_bits(photo.alpha)
        photo = photo.with_pixels(_eight_bits(photo.pixels), alpha)
    if photo.is_grey and (photo.alpha is not None or kind == "WEBP"):
        photo = photo.with_pixels(np.repeat(photo.pixels, 3, axis=2))
    samples = photo.pixels[..., 0] if photo.is_grey else photo.pixels
    if photo.alpha is not None:
        samples = np.dstack([samples, photo.alpha])
    kept: dict[str, Any] = dict(photo.metadata)
    buffer = io.BytesIO()
    if kind == "PNG":
        order = [0] if photo.is_grey else [2, 1, 0, 3][: samples.shape[2]]
        bgr = np.ascontiguousarray(np.atleast_3d(samples)[..., order])
        data = cv2.imencode(".png", bgr)[1].tobytes()
        buffer.write(data[:33])  # the header; OpenCV's own XMP is in a chunk where few look for it
        if "icc_profile" in kept:
            putchunk(buffer, b"iCCP", b"ICC profile\0\0", zlib.compress(kept["icc_profile"]))
        if "exif" in kept:
            putchunk(buffer, b"eXIf", kept["exif"].removeprefix(b"Exif\0\0"))
        if "xmp" in kept:
            putchunk(buffer, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0", kept["xmp"])
        buffer.write(data[33:])
    elif kind == "TIFF":
        exif = Image.Exif()
        exif.load(kept.get("exif", b""))
        extra = [(int(tag), "s", 0, str(exif[tag]).encode("latin-1", "replace"), True)
                 for tag in sorted(_TEXTS & set(exif))]  # fmt: skip
        if "xmp" in kept:
            extra.append((700, "B", len(kept["xmp"]), kept["xmp"], True))
        tifffile.imwrite(
            buffer, samples, photometric="minisblack" if photo.is_grey else "rgb",
            extrasamples=None if photo.alpha is None else ["unassalpha"], compression="zlib",
            predictor=True, metadata=None, software=False, iccprofile=kept.get("icc_profile"),
            extratags=extra,
        )  # fmt: skip
    else:
        if kind == "JPEG":
            kept = {k: v for k, v in kept.items() if len(v) < _SEGMENT or k == "icc_profile"}
        options = {"quality": quality, "subsampling": "4:4:4"} if kind != "BMP" else {}
        if kind == "WEBP":
            options = {"quality": quality, "lossless": quality >= 100, "exact": True}
        Image.fromarray(samples).save(buffer, kind, **options, **kept)
    return buffer.getvalue()


_stderr = threading.Lock()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
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


def _eight_bits(samples: np.ndarray) -> np.ndarray:
    if samples.dtype == np.uint8:
        return samples
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)  # rounds x / 257


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _error(path: str | os.PathLike[str], what: str) -> RestorekitError:
    """`<path>: what is wrong; what to do`, on one line whatever the file is called."""
    return RestorekitError(" ".join(f"{os.fspath(path)}: {what}".splitlines()))
