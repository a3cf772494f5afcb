"""What is read is a regular file, whole, of a size that memory takes; what is not is said."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from restorekit import files, host, images
from restorekit.errors import RestorekitError
from restorekit.images import budget, kinds

from .commands import run, save
from .pictures import SRGB, encoded, refused, samples, smooth

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")
DEADLINE = pytest.mark.timeout(20)


def photo(size: int = 256) -> np.ndarray:
    """Mild, and detailed enough that no format makes it tiny."""
    y, x = np.mgrid[0:size, 0:size]
    noise = np.random.default_rng(0).normal(0, 12, (size, size, 3))
    return (np.stack([x, y, (x + y) / 2], -1) * 255 / size + noise).clip(0, 255).astype(np.uint8)


@DEADLINE
@pytest.mark.parametrize("gate", [images.read, files.read, files.text])
def test_pipes_devices_folders_and_empty_names_are_no_files(tmp_path: Path, gate) -> None:  # type: ignore[no-untyped-def]
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero", tmp_path, "", tmp_path / "none"):
        with pytest.raises(RestorekitError, match="; "):
            gate(path)
    assert images.megapixels(tmp_path / "pipe.png") == 0


@DEADLINE
@pytest.mark.parametrize("dry", ["", " --dry-run"])
def test_pipes_do_not_hang_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dry: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    save("in/a.png", smooth())
    os.mkfifo("in/pipe.png")
    os.mkfifo("mask.png")
    assert run(f"inpaint in -o out --mask mask.png{dry}") in (0, 3)
    assert "left out: 1 pipes or devices (pipe.png)" in capsys.readouterr().err
    assert run(f"denoise in/pipe.png -o o.png{dry}") == 1
    assert run("denoise in/a.png -o o.png --prior in/pipe.png") == 1
    assert "pipe or a device" in capsys.readouterr().err
    assert not Path("o.png").exists()


@pytest.mark.parametrize("command", ["'' -o o.png", "in.png -o ''", "in.png -o o.png --prior ''"])
def test_an_empty_name_is_no_default(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    save("in.png", smooth())
    assert run(f"denoise {command}") in (1, 2)
    assert "empty" in capsys.readouterr().err and not Path("o.png").exists()


@pytest.mark.parametrize("zeroed", [0.1, 0.4, 0.8])
@pytest.mark.parametrize("kind, options", [
    ("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("WEBP", {"lossless": True}),
    ("AVIF", {}),
])  # fmt: skip
def test_a_tail_of_zeros_is_refused(
    tmp_path: Path, kind: str, options: dict, zeroed: float
) -> None:  # type: ignore[type-arg]
    if kind == "AVIF" and ".avif" not in images.SUFFIXES:
        pytest.skip("Pillow has no AVIF here")
    data = encoded(kind, photo(), **options)
    (tmp_path / "whole").write_bytes(data)
    images.read(tmp_path / "whole")
    cut = int(len(data) * (1 - zeroed))
    (tmp_path / "cut").write_bytes(data[:cut] + bytes(len(data) - cut))
    refused(tmp_path / "cut", "copy it again")


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "TIFF", "PNG"])
def test_flat_pictures_are_whole(tmp_path: Path, kind: str, value: int) -> None:
    if kind == "AVIF" and ".avif" not in images.SUFFIXES:
        pytest.skip("Pillow has no AVIF here")
    path = tmp_path / "flat"
    path.write_bytes(encoded(kind, np.full((1000, 1400, 3), value, np.uint8)))
    assert images.read(path).pixels.shape == (1000, 1400, 3)


def test_what_follows_a_jpegs_end_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG", smooth()) + bytes(4096))
    assert images.read(tmp_path / "a.jpg").pixels.shape == smooth().shape


def tiff(path: Path, **options: object) -> bytearray:
    pixels = options.pop("pixels", photo(128))
    tifffile.imwrite(path, pixels, photometric="rgb", **options)
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (32, 32)}])
def test_short_tables_of_tiffs_are_refused(tmp_path: Path, dtype: type, layout: dict) -> None:  # type: ignore[type-arg]
    path = tmp_path / "t.tif"
    pixels = photo(128) / np.float32(255) if dtype == np.float32 else photo(128).astype(dtype)
    data = tiff(path, pixels=pixels, **layout)
    images.read(path)
    page = tifffile.TiffFile(path).pages.first
    for name in ("StripOffsets", "TileOffsets", "StripByteCounts", "TileByteCounts"):
        if name in page.tags:
            changed = bytearray(data)
            struct.pack_into("<I", changed, page.tags[name].offset + 4, 2)  # its count
            path.write_bytes(changed)
            refused(path, "damaged")


def test_a_tiff_cannot_have_more_samples_than_bytes(tmp_path: Path) -> None:
    data = tiff(tmp_path / "t.tif", rowsperstrip=128)
    tags = tifffile.TiffFile(tmp_path / "t.tif").pages.first.tags
    for name in ("ImageLength", "RowsPerStrip"):
        struct.pack_into("<H", data, tags[name].valueoffset, 13000)
    (tmp_path / "t.tif").write_bytes(data)
    refused(tmp_path / "t.tif", "damaged")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("where", [0.3, 0.6, 0.9])
def test_deflate_is_held_to_its_checksum(tmp_path: Path, dtype: type, where: float) -> None:
    path = tmp_path / "t.tif"
    pixels = photo(128) / np.float32(255) if dtype == np.float32 else photo(128).astype(dtype)
    data = tiff(path, pixels=pixels, compression="zlib")
    images.read(path)
    at = int(len(data) * where)
    data[at : at + 12] = bytes(12)
    path.write_bytes(data)
    refused(path, "damaged")


@DEADLINE
@pytest.mark.parametrize("circle", [False, True])
def test_many_directories_take_no_time(tmp_path: Path, circle: bool) -> None:
    data = encoded("TIFF", smooth())
    at = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, at)[0]
    ifd = data[at : at + 2 + 12 * count]
    start, step, many = len(data), len(ifd) + 4, 60_000
    chain = b"".join(ifd + struct.pack("<I", start + step * (i + 1)) for i in range(many))
    end = start if circle else 0
    chain = chain[: 3 * step] if circle else chain
    patched = bytearray(data + chain[:-4] + struct.pack("<I", end))
    struct.pack_into("<I", patched, at + 2 + 12 * count, start)
    (tmp_path / "t.tif").write_bytes(patched)
    began = time.perf_counter()
    refused(tmp_path / "t.tif", "circle" if circle else "more than 1000 pictures")
    assert time.perf_counter() - began < 5


def bomb_webp() -> bytes:
    """One colour, 13000 x 13000 pixels, in a few bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "WEBP", lossless=True)
    data = bytearray(buffer.getvalue())
    at = data.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, at)
    side = 13000 - 1
    struct.pack_into("<I", data, at, bits >> 28 << 28 | side << 14 | side)
    return bytes(data)


@DEADLINE
def test_bombs_are_refused_by_their_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.webp"
    path.write_bytes(bomb_webp())
    refused(path, "claims 169 megapixels")
    rows = zlib.compress(bytes(1 + 8 * 500) * 500)
    header = struct.pack(">IIBBBBB", 500, 500, 16, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    ))  # fmt: skip
    images.read(path)
    monkeypatch.setattr(host, "free_memory", lambda: 500 * 500 * (budget.DEEP - 1))
    refused(path, "memory to read")


@pytest.mark.parametrize("limit, left", [("max\n", 100), ("70\n", 55), ("10\n", 0)])
@pytest.mark.parametrize("names, line, root", [
    (host.UNIFIED, "0::/a/b\n", ""), (host.LEGACY, "5:cpu,memory:/a/b\n", "memory"),
])  # fmt: skip
def test_control_groups_limit_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str, str], line: str,
    root: str, limit: str, left: int,
) -> None:  # fmt: skip
    group = tmp_path / root / "a"  # of the one above ours
    group.mkdir(parents=True)
    for name, content in [(names[0], limit), (names[1], "20\n"), ("memory.stat", f"{names[2]} 5")]:
        (group / name).write_text(content)
    real = files.text
    monkeypatch.setattr(host, "CGROUPS", tmp_path)
    monkeypatch.setattr(files, "text", lambda p: line if str(p).startswith("/proc") else real(p))
    monkeypatch.setattr(host.psutil, "virtual_memory", lambda: type("M", (), {"available": 100}))
    assert host.free_memory() == left


def test_large_colour_profiles_come_back(tmp_path: Path) -> None:
    profile = SRGB + np.random.default_rng(0).bytes(2 << 20)
    (tmp_path / "a.tif").write_bytes(encoded("TIFF", smooth(), icc_profile=profile))
    images.write(tmp_path / "b.png", images.read(tmp_path / "a.tif"))
    assert dict(images.read(tmp_path / "b.png").metadata)["icc_profile"] == profile
    (tmp_path / "a.tif").write_bytes(encoded("TIFF", smooth(), icc_profile=profile * 3))
    refused(tmp_path / "a.tif", "colour profile")


@pytest.mark.parametrize("suffix", [".heic", ".dng", ".CR2"])
def test_what_is_known_but_not_read_has_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(kinds, "READ_ONLY", {})
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    refused(path, "restorekit[heif]" if suffix == ".heic" else "develop it first")


def test_heic_is_read_and_restored_as_jpeg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pillow_heif")
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Image.fromarray(photo(64)).save("in/a.heic", "HEIF", quality=95)
    found = images.read("in/a.heic")
    assert np.abs(found.pixels.astype(float) - photo(64)).mean() < 8
    data = Path("in/a.heic").read_bytes()
    Path("cut.heic").write_bytes(data[: -len(data) // 3] + bytes(len(data) // 3))
    refused("cut.heic", "damaged")
    assert run("denoise in -o out --sigma 10") == 0
    assert [p.name for p in Path("out").glob("*.*") if p.is_file()] == ["a.jpg"]


def test_a_folder_run_tells_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("other").mkdir()
    save("in/a.png", smooth())
    for name in ("a.nef", "b.nef", "c.txt", "README"):
        Path("in", name).write_text("x")
    Path("in/link").symlink_to("../other")
    save("in/._a.png", smooth())
    save("in/@eaDir/a.png", smooth())
    save("in/.thumbnails/a.png", smooth())
    assert run("denoise in -o out --dry-run") == 0
    told = capsys.readouterr().err
    for words in (
        "1 notes of a Mac's, which are no pictures (._a.png)",
        "2 hidden folders, of trash or previews (.thumbnails, @eaDir)",
        "2 camera RAW, to be developed first (a.nef, b.nef)",
        "1 .txt files",
        "1 links to folders, which are not followed (link)",
        "1 files without",
    ):
        assert f"left out: {words}" in told


def test_decoders_warnings_become_notes(capfd: pytest.CaptureFixture[str]) -> None:
    with kinds.overheard() as warned:
        os.write(
            2, b"libpng warning: bad thing\nTIFFReadDirectory: Warning, Unknown field with tag"
        )
        os.write(2, b" tag 9\nfrom another thread\n")
    assert warned == ["libpng warning: bad thing"]
    assert capfd.readouterr().err == "from another thread\n"


def test_an_ordinary_file_has_no_notes(tmp_path: Path) -> None:
    for name, data in [("a.tif", encoded("TIFF", smooth(), compression="tiff_lzw")),
                       ("a.jpg", encoded("JPEG", samples(3)))]:  # fmt: skip
        (tmp_path / name).write_bytes(data)
        assert images.read(tmp_path / name).notes == ()
