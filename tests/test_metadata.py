"""What else a file carries: orientation, EXIF, XMP, IPTC, profiles, dots an inch, quality."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps, PngImagePlugin

from restorekit import images
from restorekit.images import Photo

from .pictures import (
    EXPOSURE,
    GREY_PROFILE,
    MAKE,
    ORIENTATION,
    ORIENTATIONS,
    SRGB,
    XMP,
    encoded,
    exif,
    png,
    samples,
    smooth,
)

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")  # pytest undoes our filter


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_orientation_is_applied_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    if suffix not in images.SUFFIXES:
        pytest.skip("this Pillow has no AVIF")
    kind = {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper())
    stored = Image.fromarray(smooth())
    stored.getexif()[ORIENTATION] = orientation
    upright = np.array(ImageOps.exif_transpose(stored), dtype=float)
    path = tmp_path / ("photo" + suffix)
    path.write_bytes(encoded(kind, smooth(), exif=exif(orientation), xmp=XMP % orientation))

    photo = images.read(path)
    assert photo.pixels.shape == upright.shape
    assert np.abs(photo.pixels - upright).mean() < 3
    images.write(path, photo)
    assert np.abs(images.read(path).pixels - upright).mean() < 3
    with Image.open(path) as independent:
        assert independent.getexif().get(ORIENTATION, 1) == 1
        assert independent.info.get("xmp", XMP % 1) == XMP % 1


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_orientation_of_16_bit_tiff(tmp_path: Path, channels: int, orientation: int) -> None:
    path, stored = tmp_path / "t.tif", samples(channels, np.uint16)
    tifffile.imwrite(
        path, stored.squeeze(), photometric="rgb" if channels > 1 else "minisblack",
        extrasamples=["unassalpha"] if channels == 4 else None, compression="zlib",
        metadata=None, extratags=[(ORIENTATION, "H", 1, orientation, True)],
    )  # fmt: skip
    flat = Image.fromarray((stored[..., 0] >> 8).astype(np.uint8))
    flat.getexif()[ORIENTATION] = orientation
    photo = images.read(path)
    np.testing.assert_array_equal(photo.pixels[..., 0] >> 8, ImageOps.exif_transpose(flat))
    assert set(np.unique(photo.pixels)) <= set(np.unique(stored))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_metadata_is_kept(tmp_path: Path, kind: str, suffix: str, dtype: type) -> None:
    if suffix not in images.SUFFIXES:
        pytest.skip("this Pillow has no AVIF")
    source, target = tmp_path / "source", tmp_path / ("target" + suffix)
    xmp = PngImagePlugin.PngInfo()
    xmp.add_itxt("XML:com.adobe.xmp", (XMP % 6).decode())
    tags = Image.Exif()
    tags.load(exif(6))
    if kind == "TIFF":
        tags[700] = XMP % 6
    options = {"pnginfo": xmp} if kind == "PNG" else {"xmp": XMP % 6}
    source.write_bytes(encoded(kind, smooth(), exif=tags.tobytes(), icc_profile=SRGB, **options))
    photo = images.read(source)
    assert photo.notes == ()
    images.write(target, photo.with_pixels(photo.pixels.astype(dtype)))
    with Image.open(target) as independent:
        assert independent.getexif()[MAKE] == "Acme"
        assert independent.info["icc_profile"] == SRGB
        assert independent.getexif().get_ifd(0x8769)[EXPOSURE] == 0.5
    assert dict(images.read(target).metadata).keys() == {"exif", "icc_profile", "xmp"}
    expected = (XMP % 1).replace(b'tiff:Orientation="1"', b"") if kind == "TIFF" else XMP % 1
    assert dict(images.read(target).metadata)["xmp"] == expected  # Pillow cuts it out of TIFFs


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_texts_and_xmp_of_tiff(tmp_path: Path, dtype: type, bigtiff: bool) -> None:
    path, back, png = (tmp_path / name for name in ("t.tif", "b.tif", "p.png"))
    xmp = XMP % 6
    tifffile.imwrite(
        path, np.zeros((16, 24, 3), dtype), photometric="rgb", bigtiff=bigtiff, metadata=None,
        extratags=[(ORIENTATION, "H", 1, 6, True), (MAKE, "s", 0, "Acme", True),
                   (700, "B", len(xmp), xmp, True)],
    )  # fmt: skip
    photo = images.read(path)
    assert photo.pixels.shape == (24, 16, 3) and photo.notes == ()
    images.write(back, photo)
    with tifffile.TiffFile(back) as file:
        tags = file.pages.first.tags
        assert tags[MAKE].value == "Acme" and ORIENTATION not in tags
        assert b'tiff:Orientation="6"' not in tags[700].value
    images.write(png, photo)
    with Image.open(png) as independent:
        assert independent.getexif()[MAKE] == "Acme"
        assert independent.getexif().get(ORIENTATION, 1) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiff_keeps_all_of_exif(tmp_path: Path, dtype: type) -> None:
    """Exposure, dates, maker's notes and place, through a TIFF and back into a JPEG."""
    tags = Image.Exif()
    tags.update({MAKE: "Acme", 0x9C9C: "hello".encode("utf-16-le"), 0x4746: 4})
    details = {0x829A: 0.5, 0x9003: "2024:05:06 07:08:09", 0x927C: b"\1\2\3\4\5", 0x8827: 400}
    place = {0: b"\2\3\0\0", 1: "N", 2: (48.0, 12.0, 3.5), 5: b"\0", 6: 512.0}
    tags.get_ifd(0x8769).update({**details, 0xA005: {1: "R98"}})
    tags.get_ifd(0x8825).update(place)
    pixels = np.zeros((9, 11, 3), dtype)
    images.write(tmp_path / "p.tif", Photo(pixels, metadata=(("exif", tags.tobytes()),)))
    images.write(tmp_path / "p.jpg", images.read(tmp_path / "p.tif"))
    for name in ("p.tif", "p.jpg"):
        if name == "p.tif" and dtype != np.uint8:  # Pillow opens neither
            continue
        with Image.open(tmp_path / name) as independent:
            found = independent.getexif()
            assert found[MAKE] == "Acme" and found[0x4746] == 4
            assert bytes(found[0x9C9C]).rstrip(b"\0") == "hello".encode("utf-16-le").rstrip(b"\0")
            assert found.get_ifd(0xA005) == {1: "R98"}
            found.get_ifd(0x8769).pop(0xA005)
            assert found.get_ifd(0x8769) == details
            assert found.get_ifd(0x8825) == place
    with tifffile.TiffFile(tmp_path / "p.tif") as file:
        assert file.pages.first.tags[0x8769].value["ExposureTime"] == 0.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_size_in_exif_is_forgotten(tmp_path: Path, kind: str) -> None:
    """It is that of the stored photo, not of the upright or the enlarged one."""
    source, target = tmp_path / "source", tmp_path / "target.jpg"
    tags = Image.Exif()
    tags.load(exif(6))
    tags[0x0100], tags[0x0101] = 24, 16
    tags.get_ifd(0x8769).update({0xA002: 24, 0xA003: 16})
    source.write_bytes(encoded(kind, smooth(), exif=tags.tobytes()))
    with Image.open(source) as independent:
        assert independent.getexif().get_ifd(0x8769)[0xA002] == 24
    photo = images.read(source)
    images.write(target, photo.with_pixels(photo.pixels.repeat(2, 0).repeat(2, 1)))
    with Image.open(target) as independent:
        found = independent.getexif()
        assert found[MAKE] == "Acme" and not {0x0100, 0x0101} & set(found)
        assert found.get_ifd(0x8769) == {EXPOSURE: 0.5}


@pytest.mark.parametrize("key", ["exif", "xmp"])
def test_metadata_too_long_for_jpeg_is_left_out(tmp_path: Path, key: str) -> None:
    tags = Image.Exif()
    tags[MAKE] = "A" * 70000
    long = {"exif": tags.tobytes(), "xmp": b" " * 70000}[key]
    photo = Photo(smooth(), metadata=((key, long), ("icc_profile", SRGB * 40)))
    images.write(tmp_path / "p.png", photo)
    assert images.read(tmp_path / "p.png").metadata and not images.left_out("p.png", photo)
    images.write(tmp_path / "p.jpg", photo)
    assert dict(images.read(tmp_path / "p.jpg").metadata) == {"icc_profile": SRGB * 40}
    (note,) = images.left_out("p.jpg", photo)
    assert key.upper() in note


def test_words_are_kept_or_told(tmp_path: Path) -> None:
    """A comment and a title, where the format has a place for them."""
    words = PngImagePlugin.PngInfo()
    words.add_text("Title", "The beach")
    words.add_itxt("Comment", "mit Grüßen")
    Image.fromarray(smooth()).save(tmp_path / "in.png", pnginfo=words)
    photo = images.read(tmp_path / "in.png")
    images.write(tmp_path / "out.png", photo)
    with Image.open(tmp_path / "out.png") as independent:
        assert independent.text == {"Title": "The beach", "Comment": "mit Grüßen"}
    images.write(tmp_path / "out.jpg", photo)
    with Image.open(tmp_path / "out.jpg") as independent:
        assert independent.info["comment"].decode() == "mit Grüßen"
    again = images.read(tmp_path / "out.jpg")
    assert not images.left_out("p.png", again) and not images.left_out("p.jpg", again)
    for target in ("p.webp", "p.tif", "p.bmp"):
        (note,) = images.left_out(target, again)
        assert "comments" in note
        images.write(tmp_path / target, again)


def test_bmp_and_previews_are_told(tmp_path: Path) -> None:
    small = encoded("JPEG", smooth()[:8, :8])
    tags = Image.Exif()
    tags[MAKE] = "Acme"
    head = tags.tobytes()
    # A second directory, where previews are: offset and length of a JPEG behind it.
    order, body = ("<" if head[6:8] == b"II" else ">"), bytearray(head[6:])
    at = struct.unpack(order + "I", body[4:8])[0]
    entries = struct.unpack(order + "H", body[at : at + 2])[0]
    struct.pack_into(order + "I", body, at + 2 + 12 * entries, len(body))
    row = order + "HHII"
    table = struct.pack(order + "H", 2) + struct.pack(row, 513, 4, 1, len(body) + 30)
    body += table + struct.pack(row, 514, 4, 1, len(small)) + b"\0\0\0\0" + small
    path = tmp_path / "in.jpg"
    path.write_bytes(encoded("JPEG", smooth(), exif=b"Exif\0\0" + bytes(body), icc_profile=SRGB))
    photo = images.read(path)
    assert ["preview" in note for note in photo.notes] == [True]
    images.write(tmp_path / "out.jpg", photo)
    assert small not in (tmp_path / "out.jpg").read_bytes()
    assert images.read(tmp_path / "out.jpg").notes == ()
    (note,) = images.left_out("p.bmp", photo)
    assert "EXIF" in note and "profile" in note


@pytest.mark.parametrize(
    "kind, dtype", [("JPEG", np.uint8), ("TIFF", np.uint8), ("TIFF", np.float32)]
)
def test_iptc_is_left_out_with_a_note(tmp_path: Path, kind: str, dtype: type) -> None:
    path, caption = tmp_path / "photo", b"\x1c\x02\x78\x00\x07A beach"
    if kind == "JPEG":
        block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(caption)) + caption
        marker = b"\xff\xed" + struct.pack(">H", len(block) + 2)
        jpeg = encoded("JPEG", smooth())
        path.write_bytes(jpeg[:2] + marker + block + jpeg[2:])
    else:
        tag = (33723, "B", len(caption), caption, True)
        tifffile.imwrite(path, np.zeros((9, 9, 3), dtype), photometric="rgb", extratags=[tag])
    (note,) = images.read(path).notes
    assert "IPTC" in note


def test_damaged_profile_and_exif_are_no_reason_to_refuse(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.png"
    bad = [(b"iCCP", b"x\0\0" + zlib.compress(SRGB[:99])), (b"eXIf", b"MM\0*\0\0\0\x08\xff\xff")]
    path.write_bytes(png(samples(3, np.uint16), 2, *bad))
    photo = images.read(path)
    images.write(path, photo)
    np.testing.assert_array_equal(images.read(path).pixels, samples(3, np.uint16))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "damaged",
    [b"XX\0*\0\0\0\x08\0\0", struct.pack(">2sHIHHHI4sI", b"MM", 42, 8, 1, 0x011A, 2, 4, b"two", 0)],
    ids=["head", "text for number"],
)
def test_exif_that_cannot_be_read_is_noted(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "p.png"
    path.write_bytes(png(samples(3, np.uint16), 2, (b"eXIf", damaged)))
    photo = images.read(path)
    np.testing.assert_array_equal(photo.pixels, samples(3, np.uint16))
    (note,) = photo.notes
    assert "EXIF" in note and photo.metadata == ()


def test_profile_has_to_fit_the_channels(tmp_path: Path) -> None:
    path = tmp_path / "g.png"
    path.write_bytes(encoded("PNG", samples(1)[..., 0], icc_profile=GREY_PROFILE))
    grey = images.read(path)
    assert dict(grey.metadata) == {"icc_profile": GREY_PROFILE}
    assert grey.with_pixels(grey.pixels // 2).metadata == grey.metadata
    assert grey.with_pixels(grey.rgb8()).metadata == ()
    path.write_bytes(encoded("PNG", samples(3), icc_profile=GREY_PROFILE))
    assert images.read(path).metadata == ()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP"])
def test_dpi_is_kept(tmp_path: Path, kind: str, suffix: str) -> None:
    source, target = tmp_path / "source", tmp_path / ("target" + suffix)
    source.write_bytes(encoded(kind, smooth(), dpi=(300, 150)))
    images.write(target, images.read(source))
    with Image.open(target) as independent:
        assert independent.info["dpi"] == pytest.approx((300, 150), rel=1e-3)
    images.write(target, images.read(source).stripped())
    with Image.open(target) as independent:
        assert independent.info.get("dpi", (0, 0))[0] != pytest.approx(300, rel=1e-3)


def test_odd_resolution_of_floats(tmp_path: Path) -> None:
    path, stored = tmp_path / "t.tif", np.full((9, 9, 3), 0.5, np.float32)
    tifffile.imwrite(path, stored, photometric="rgb", resolution=(240, 240), resolutionunit="INCH")
    sound = path.read_bytes()
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["YResolution"].overwrite((240, 0))
    assert images.read(path).dpi is None
    across, down = (struct.pack("=HHI", code, 5, 1) for code in (0x011A, 0x011B))
    for missing in (across, down):
        assert missing in sound
        path.write_bytes(sound.replace(missing, struct.pack("=HHI", 65000, 5, 1)))
        photo = images.read(path)
        assert photo.dpi is None
        np.testing.assert_array_equal(photo.pixels, stored)


@pytest.mark.parametrize("unit, inches", [("INCH", 1), ("CENTIMETER", 2.54), ("NONE", None)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_unit_of_resolution(tmp_path: Path, dtype: type, unit: str, inches: float | None) -> None:
    path = tmp_path / "t.tif"
    tifffile.imwrite(path, np.zeros((9, 9), dtype), resolution=(100, 50), resolutionunit=unit)
    expected = None if inches is None else pytest.approx((100 * inches, 50 * inches))
    assert images.read(path).dpi == expected


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 88, 95, 100])
def test_jpeg_keeps_its_quality_where_that_is_good(tmp_path: Path, quality: int) -> None:
    """A coarse one's own would put the blocks back that were taken away."""
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    source.write_bytes(encoded("JPEG", smooth(), quality=quality))
    photo = images.read(source)
    assert photo.quality == quality
    images.write(target, photo)
    assert images.read(target).quality == max(quality, 95)
    if quality >= 95:
        with Image.open(source) as one, Image.open(target) as other:
            assert one.quantization == other.quantization
    images.write(target, photo, quality=60)
    assert images.read(target).quality == 60
