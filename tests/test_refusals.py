"""What is no whole picture, or would be misread, is refused in one line."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from restorekit import images
from restorekit.errors import RestorekitError
from restorekit.images import Photo

from .pictures import (
    SRGB,
    encoded,
    exif,
    png,
    refused,
    samples,
    smooth,
)

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")  # pytest undoes our filter


def test_refuses_what_is_no_picture(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder.png").mkdir()
    for name, data, word in [
        ("empty.png", b"", "0 bytes"),
        ("text.png", b"Dear diary,\nno picture today.\n", "not an image"),
        ("two\nlines.jpg", b"no", "not an image"),
        ("gif.png", encoded("GIF", smooth()), "not an image"),
    ]:
        (tmp_path / name).write_bytes(data)
        if "\n" not in name:
            refused(tmp_path / name, word)
    with pytest.raises(RestorekitError, match=r"^[^\n]*two lines.jpg: [^\n]*$"):
        images.read(tmp_path / "two\nlines.jpg")
    refused(tmp_path / "missing.png", "No such file")
    refused(tmp_path / "folder.png", "directory")
    refused(tmp_path / "empty.png" / "below.png", "cannot be read")
    refused("nul\0.png")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.98])
@pytest.mark.parametrize(
    "name, data",
    [
        ("a.png", encoded("PNG", samples(3, size=(64, 64)))),
        ("deep.png", png(samples(4, np.uint16), 6)),
        ("a.jpg", encoded("JPEG", samples(3, size=(64, 64)))),
        ("a.webp", encoded("WEBP", samples(3, size=(64, 64)))),
        ("a.bmp", encoded("BMP", samples(3, size=(64, 64)))),
        ("raw.tif", encoded("TIFF", samples(3, size=(64, 64)))),
        ("lzw.tif", encoded("TIFF", samples(3, size=(64, 64)), compression="tiff_lzw")),
    ],
)
def test_refuses_truncated_files(
    tmp_path: Path, name: str, data: bytes, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * share)])
    refused(path)
    assert capfd.readouterr() == ("", "")


def test_refuses_png_with_a_wrong_checksum(tmp_path: Path) -> None:
    path, data = tmp_path / "p.png", bytearray(encoded("PNG", smooth()))
    data[-16] ^= 1  # in the checksum of the samples, which decoders skip
    path.write_bytes(data)
    refused(path, "damaged")


def test_nothing_is_printed_without_pytest(tmp_path: Path) -> None:
    """pytest itself takes up warnings and log records, which would otherwise go to stderr."""
    three = b"\x15\1\3\0\1\0\0\0\3"  # samples per pixel
    odd, photo = tmp_path / "odd.tif", tmp_path / "photo.jpg"
    odd.write_bytes(encoded("TIFF", smooth()).replace(three, three[:-1] + b"\x99"))
    photo.write_bytes(encoded("JPEG", smooth(), exif=exif(6)[:40]))
    program = f"""
from restorekit import errors, images
images.read({str(photo)!r})
try:
    images.read({str(odd)!r})
except errors.RestorekitError:
    pass
else:
    raise AssertionError"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_refuses_tiff_cut_in_its_samples(
    tmp_path: Path, dtype: type, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.tif"
    images.write(path, Photo(samples(3, dtype, size=(64, 64))))  # directory first, samples last
    path.write_bytes(path.read_bytes()[:-2000])
    refused(path, "damaged")
    assert capfd.readouterr() == ("", "")


def test_refuses_huge_pictures_by_their_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    data = bytearray(encoded("PNG", samples(3)))
    data[16:24] = struct.pack(">II", 60000, 60000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    refused(path, "178 megapixels")
    path.write_bytes(encoded("PNG", samples(3)))
    with pytest.raises(RestorekitError, match=r"more than 0\.0001 megapixels"):
        images.read(path, max_megapixels=1e-4)


def test_refuses_several_pictures_but_not_previews(tmp_path: Path) -> None:
    frames = [Image.fromarray(samples(c, size=(16, 16))) for c in (3, 4)]
    several = {"save_all": True, "append_images": [frames[1].convert("RGB")]}
    for kind in ("PNG", "WEBP", "TIFF"):
        path = tmp_path / f"two.{kind.lower()}"
        path.write_bytes(encoded(kind, frames[0], **several))
        refused(path, "2 pictures")
    path.write_bytes(encoded("MPO", smooth(), **several))
    assert images.read(path).pixels.shape == smooth().shape
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(smooth(), photometric="rgb")
        tiff.write(smooth()[::4, ::4], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(images.read(path).pixels, smooth())


def test_refuses_samples_it_would_misread(tmp_path: Path) -> None:
    path, deep = tmp_path / "t.tif", samples(4, np.uint16)
    tifffile.imwrite(path, samples(3) / np.float32(25), photometric="rgb")
    refused(path, "outside 0..1")
    tifffile.imwrite(path, np.full((9, 9, 3), np.nan, np.float32), photometric="rgb")
    refused(path, "outside 0..1")
    tifffile.imwrite(path, samples(1)[..., 0].astype(np.int32))
    refused(path, "neither 8 nor 16 bits")
    tifffile.imwrite(path, np.moveaxis(deep[..., :3], -1, 0), photometric="rgb", planarconfig=2)
    refused(path, "planes")
    tifffile.imwrite(path, deep, photometric="rgb", extrasamples=["assocalpha"])
    refused(path, "premultiplied")


FUZZED = {
    "png": encoded("PNG", smooth(), exif=exif(6), icc_profile=SRGB),
    "deep.png": png(samples(3, np.uint16), 2),
    "jpg": encoded("JPEG", smooth(), exif=exif(6)),
    "webp": encoded("WEBP", smooth(), exif=exif(6)),
    "bmp": encoded("BMP", smooth()),
    "lzw.tif": encoded("TIFF", smooth(), compression="tiff_lzw"),
    "jpeg.tif": encoded("TIFF", smooth(), compression="jpeg"),
}
with io.BytesIO() as deep_tiff:
    tifffile.imwrite(deep_tiff, samples(3, np.uint16), photometric="rgb", compression="zlib")
    FUZZED["deep.tif"] = deep_tiff.getvalue()
with io.BytesIO() as float_tiff:
    tifffile.imwrite(float_tiff, (smooth() / 255).astype(np.float32), photometric="rgb")
    FUZZED["float.tif"] = float_tiff.getvalue()
if ".avif" in images.SUFFIXES:
    FUZZED["avif"] = encoded("AVIF", smooth(), exif=exif(6))


@pytest.mark.parametrize("name", FUZZED)
@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),  # `make fuzz` takes more
    deadline=5000,  # ms: no file may hang it
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_any_bytes_give_a_photo_or_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, data: st.DataObject
) -> None:
    content, path = bytearray(FUZZED[name]), tmp_path / name
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.sampled_from([None, None, len(content) // 2]))])
    try:
        photo = images.read(path, max_megapixels=4)  # a large one rightly takes its time
    except RestorekitError as error:
        assert len(str(error).splitlines()) == 1 and str(error).startswith(str(path))
    else:
        images.write(tmp_path / "again.png", photo)
    assert capfd.readouterr() == ("", "")
