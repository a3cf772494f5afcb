"""Pixels: what goes into a file comes out of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from restorekit import images
from restorekit.errors import RestorekitError
from restorekit.images import Photo

from .pictures import ORIENTATION, SRGB, encoded, png, samples, smooth

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")  # pytest undoes our filter


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "rgb"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", sorted(images.SUFFIXES - set(images.READ_ONLY)))
def test_round_trip(
    tmp_path: Path,
    suffix: str,
    dtype: type,
    channels: int,
    alpha: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pixels = samples(channels, dtype)
    transparency = samples(1, dtype)[..., 0]
    transparency[:4] = 0  # the colours below stay
    photo = Photo(pixels, transparency if alpha else None)
    path = tmp_path / "new" / ("photo" + suffix)
    if alpha and suffix in (".jpg", ".jpeg", ".bmp"):
        for attempt in (images.check_writable, images.write):
            with pytest.raises(RestorekitError, match=r"\.png"):
                attempt(path, photo)
        assert not path.parent.exists()
        return
    images.check_writable(path, photo)
    images.write(path, photo, quality=100)
    back = images.read(path)

    deep = suffix in (".png", ".tif", ".tiff")
    lossy = suffix in (".jpg", ".jpeg", ".avif")
    assert back.pixels.dtype == (dtype if deep else np.uint8)
    assert (back.alpha is not None) == alpha
    if not alpha and suffix not in (".webp", ".avif"):
        assert back.is_grey == (channels == 1)
    expected, got = (pixels, back.pixels) if deep else (photo.rgb8(), back.rgb8())
    assert np.abs(expected - got.astype(float)).max() <= (12 if lossy else 0)
    if photo.alpha is not None and not lossy:
        scale = 1 if deep else photo.peak / 255
        np.testing.assert_array_equal(back.alpha, np.round(photo.alpha / scale))

    with Image.open(path) as independent:
        assert independent.size == (14, 11)
        if not lossy and dtype == np.uint8:
            np.testing.assert_array_equal(np.array(independent.convert("RGB")), photo.rgb8())
    if suffix == ".tif":
        stored = tifffile.imread(path)
        assert stored.dtype == dtype
        np.testing.assert_array_equal(stored.reshape(11, 14, -1)[..., :channels], pixels)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("orientation", [1, 6])
def test_tiff_of_floats(tmp_path: Path, channels: int, orientation: int) -> None:
    """Comes back to the bit, upright; other formats get as many bits as they hold."""
    path, back = tmp_path / "f.tif", tmp_path / "b.tif"
    stored = np.random.default_rng(0).random((11, 14, channels), dtype=np.float32)
    tifffile.imwrite(
        path, stored if channels > 1 else stored[..., 0],
        photometric="rgb" if channels > 1 else "minisblack", resolution=(240, 240),
        extrasamples=["unassalpha"] if channels == 4 else None, iccprofile=SRGB, metadata=None,
        resolutionunit="INCH", extratags=[(ORIENTATION, "H", 1, orientation, True)],
        software=False,
    )  # fmt: skip
    upright = stored if orientation == 1 else np.rot90(stored, -1)
    photo = images.read(path)
    images.write(back, photo)
    again = images.read(back)
    for found in (photo, again):
        np.testing.assert_array_equal(found.pixels, upright[..., : 1 if channels == 1 else 3])
        assert (found.alpha is None) == (channels != 4) and found.dpi == (240, 240)
    assert again.metadata == photo.metadata and bool(photo.metadata) == (channels > 1)
    images.write(tmp_path / "p.png", photo)
    deep = images.read(tmp_path / "p.png").pixels
    assert deep.dtype == np.uint16 and np.abs(deep / 65535 - photo.pixels).max() < 1e-5


@pytest.mark.parametrize("colour_type, channels", [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_reads_16_bit_png(tmp_path: Path, colour_type: int, channels: int) -> None:
    path, pixels = tmp_path / "p.png", samples(channels, np.uint16)
    path.write_bytes(png(pixels, colour_type))
    photo = images.read(path)
    np.testing.assert_array_equal(photo.pixels, pixels[..., : 3 if channels > 2 else 1])
    assert (photo.alpha is None) == (channels in (1, 3))
    assert photo.alpha is None or np.array_equal(photo.alpha, pixels[..., -1])


@pytest.mark.parametrize("colour_type, channels", [(0, 1), (2, 3)])
def test_one_transparent_colour_becomes_alpha(
    tmp_path: Path, colour_type: int, channels: int
) -> None:
    path, pixels = tmp_path / "p.png", samples(channels, np.uint16)
    key = pixels[2, 3].astype(">u2").tobytes()
    path.write_bytes(png(pixels, colour_type, (b"tRNS", key)))
    photo = images.read(path)
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert photo.alpha is not None and photo.alpha[2, 3] == 0 and photo.alpha[0, 0] == 65535


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK"])
def test_reads_tiff(tmp_path: Path, mode: str, compression: str | None) -> None:
    picture = Image.fromarray(smooth()).convert("RGB" if mode != "RGBA" else mode).convert(mode)
    if mode in ("RGBA", "LA"):
        picture.putalpha(Image.fromarray(samples(1, size=(16, 24))[..., 0]))
    path = tmp_path / "t.tif"
    path.write_bytes(encoded("TIFF", picture, compression=compression))
    photo = images.read(path)
    rgba = np.array(picture.convert("RGBA"))
    np.testing.assert_array_equal(photo.rgb8(), rgba[..., :3])
    assert photo.alpha is None or np.array_equal(photo.alpha, rgba[..., 3])
    assert photo.is_grey == (mode in ("L", "LA", "1"))


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "RGB", "RGBA"])
def test_reads_shallow_png(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(smooth()).convert(mode)
    path = tmp_path / "p.png"
    path.write_bytes(encoded("PNG", picture, **({"transparency": 0} if mode == "P" else {})))
    photo = images.read(path)
    assert photo.pixels.dtype == np.uint8 and photo.is_grey == (mode in ("L", "LA", "1"))
    assert (photo.alpha is not None) == (mode in ("LA", "P", "RGBA"))
    np.testing.assert_array_equal(photo.rgb8(), np.array(picture.convert("RGB")))


def test_reads_cmyk_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "c.jpg"
    path.write_bytes(encoded("JPEG", Image.fromarray(smooth()).convert("CMYK"), quality=95))
    photo = images.read(path)
    assert np.abs(photo.pixels - smooth().astype(float)).mean() < 3
    assert "CMYK" in photo.notes[0]


def test_white_is_zero(tmp_path: Path) -> None:
    path, grey = tmp_path / "t.tif", samples(1, np.uint16)
    tifffile.imwrite(path, 65535 - grey[..., 0], photometric="miniswhite", metadata=None)
    np.testing.assert_array_equal(images.read(path).pixels, grey)


def test_depths_convert_exactly() -> None:
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    photo = Photo(eight, eight[..., 0])
    for dtype in (np.uint16, np.float32):
        there = photo.at_depth(dtype)
        assert there.pixels.dtype == there.alpha.dtype == dtype and there.pixels.max() == there.peak
        np.testing.assert_array_equal(there.at_depth(np.uint8).pixels, eight)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_megapixels_without_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # restored at the end
    path, stored = tmp_path / "p.tif", np.ones((9, 9, 3), dtype)
    tifffile.imwrite(path, stored, photometric="rgb")
    np.testing.assert_array_equal(images.read(path, max_megapixels=math.inf).pixels, stored)
    for senseless in (math.nan, 0):
        with pytest.raises(RestorekitError, match=r"p\.tif: .+; give a number above 0"):
            images.read(path, max_megapixels=senseless)


def test_rgb8_rounds() -> None:
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    expected = np.round(deep / 257).astype(np.uint8)
    np.testing.assert_array_equal(Photo(deep).rgb8(), expected.repeat(3, axis=2))


def test_photo_refuses_what_no_file_holds() -> None:
    photo = Photo(samples(3), samples(1)[..., 0])
    for pixels in (samples(3)[..., 0], samples(4), samples(3) / 255, samples(3)[:5]):
        with pytest.raises(ValueError):
            photo.with_pixels(pixels)
    assert photo.with_pixels(samples(3)[:5], alpha=None).alpha is None


def test_a_jpeg_for_a_look(tmp_path: Path) -> None:
    """Decoded at an eighth, upright, and nearly what it is reduced to."""
    path = tmp_path / "p.jpg"
    pixels = np.asarray(Image.fromarray(smooth()).resize((800, 512)))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(pixels).save(path, quality=95, exif=exif)
    whole, small = images.read(path).pixels, images.read(path, least=50).pixels
    assert small.shape == (100, 64, 3)
    reduced = whole.reshape(100, 8, 64, 8, 3).mean(axis=(1, 3))
    assert np.abs(small - reduced).max() < 8
    with pytest.raises(RestorekitError, match="megapixels"):
        images.read(path, least=50, max_megapixels=0.4)
