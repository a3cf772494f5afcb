"""Wide-gamut photos keep their profile, and thereby what their colours look like."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from skimage import data

from restorekit import cli, images

# Chromaticities of red, green, blue and white, and gamma
SPACES = {
    "Display P3": ([0.68, 0.32, 0.265, 0.69, 0.15, 0.06], (0.3127, 0.329), 2.2),
    "Adobe RGB": ([0.64, 0.33, 0.21, 0.71, 0.15, 0.06], (0.3127, 0.329), 2.2),
    "ProPhoto RGB": ([0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001], (0.3457, 0.3585), 1.8),
}
D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def profile(name: str) -> bytes:
    """A matrix profile by the letter of ICC.1:2001-04, as no library here writes one."""
    chromaticities, (x, y), gamma = SPACES[name]
    white = np.array([x / y, 1, (1 - x - y) / y])
    rgb = np.array([[a, b, 1 - a - b] for a, b in np.reshape(chromaticities, (3, 2))]).T
    rgb = rgb * np.linalg.solve(rgb, white)
    adapted = np.linalg.solve(BRADFORD, np.diag(BRADFORD @ D50 / (BRADFORD @ white))) @ BRADFORD
    fixed = [struct.pack(">4s4x3i", b"XYZ ", *np.rint(c * 65536).astype(int)) for c in
             (adapted @ rgb).T]  # fmt: skip
    curve = struct.pack(">4s4xIH2x", b"curv", 1, round(gamma * 256))
    text = name.encode() + b"\0"
    description = struct.pack(">4s4xI", b"desc", len(text)) + text + bytes(78)
    tags = {
        b"desc": description + bytes(-len(description) % 4),
        b"cprt": struct.pack(">4s4x4s", b"text", b"\0"),
        b"wtpt": struct.pack(">4s4x3i", b"XYZ ", *np.rint(D50 * 65536).astype(int)),
        **dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), fixed, strict=True)),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    table, body, offset = b"", b"", 132 + 12 * len(tags)
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, offset + len(body), len(content))
        body += content
    fields = b"mntr", b"RGB ", b"XYZ ", b"acsp"
    header = struct.pack(">I4xI4s4s4s12x4s28x3i48x", offset + len(body), 0x02100000, *fields,
                         *np.rint(D50 * 65536).astype(int))  # fmt: skip
    return header + struct.pack(">I", len(tags)) + table + body


def as_seen(path: Path) -> np.ndarray:
    """By an independent reader that knows colours: converted to sRGB."""
    with Image.open(path) as image:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        srgb = ImageCms.createProfile("sRGB")
        seen = ImageCms.profileToProfile(image.convert("RGB"), embedded, srgb)
    assert seen is not None
    return np.asarray(seen).astype(int)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp"])
@pytest.mark.parametrize("name", list(SPACES))
def test_colours_keep_their_meaning(tmp_path: Path, name: str, suffix: str) -> None:
    pixels = data.astronaut()[40:72, 200:240]
    icc = profile(name)
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))) == f"{name}\n"
    source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    lossless = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(pixels).save(source, icc_profile=icc, quality=95, **lossless)
    assert np.abs(as_seen(source) - pixels).max() > 10  # the profile matters
    command = ["denoise", str(source), "-o", str(target), "--sigma", "1", "--quality", "100"]
    assert cli.main(command) == 0
    with Image.open(target) as independent:
        assert independent.info["icc_profile"] == icc
    assert np.abs(as_seen(target) - as_seen(source)).mean() < 2


@pytest.mark.parametrize("name", list(SPACES))
def test_deep_wide_gamut_is_untouched_where_nothing_is_asked(tmp_path: Path, name: str) -> None:
    """Outside the hole, 16 bits and profile are those of the file, in other hands too."""
    pixels = data.astronaut()[40:72, 200:240].astype(np.uint16) * 257 + 3
    source, target, mask = (tmp_path / n for n in ("in.tif", "out.tif", "mask.png"))
    tifffile.imwrite(source, pixels, photometric="rgb", iccprofile=profile(name))
    hole = np.zeros(pixels.shape[:2], np.uint8)
    hole[10:14, 10:20] = 255
    images.write(mask, images.Photo(hole[..., None]))
    command = ["inpaint", str(source), "-o", str(target), "--mask", str(mask), "--steps", "2"]
    assert cli.main(command) == 0
    with tifffile.TiffFile(target) as file:
        assert file.pages.first.tags["InterColorProfile"].value == profile(name)
        np.testing.assert_array_equal(file.asarray()[hole == 0], pixels[hole == 0])
