"""What a JPEG says is known exactly, and nothing that dejpeg does contradicts it."""

from __future__ import annotations

import dataclasses
import io
import math
import struct
from pathlib import Path
from typing import Any

import jpeglib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from restorekit_dejpeg.coded import saved_with_others
from restorekit_dejpeg.grid import offset_of, saved_before
from restorekit_dejpeg.task import from_file
from skimage import data

import restorekit
from restorekit import RestorekitError, cli, images
from restorekit.engine.quantised import Plane, Quantised, truncated_mean
from restorekit.images import Coding
from restorekit.loading import find_prior, load_prior

CAT = data.chelsea()[40:167, 100:289]  # neither side is whole blocks


def saved(path: Path, pixels: np.ndarray = CAT, **how: Any) -> Path:
    Image.fromarray(pixels).save(path, "JPEG", **how)
    return path


def coding_of(path: Path) -> Coding:
    source = images.read(path).source
    assert source is not None
    coding = source.coding()
    assert coding is not None
    return coding


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * math.log10(255**2 / np.square(a.astype(float) - b).mean())


@given(m=st.floats(-30, 30), low=st.floats(-20, 20), width=st.floats(0.1, 30))
@settings(deadline=None, max_examples=60)
def test_the_mean_of_a_truncated_normal(m: float, low: float, width: float) -> None:
    """Against the integral, also 40 deviations out."""
    r, high = 0.8, low + width
    x = np.linspace(low, high, 20_001)
    log = -0.5 * ((x - m) / r) ** 2
    density = np.exp(log - log.max())
    wanted = float((x * density).sum() / density.sum())
    found = truncated_mean(*(torch.tensor([v], dtype=torch.float64) for v in (m, r, low, high)))
    assert found.item() == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_the_decoder_is_libjpegs(subsampling: str, tmp_path: Path) -> None:
    """Coefficients and tables are understood: our picture is the viewer's, but for rounding."""
    path = saved(tmp_path / "a.jpg", quality=60, subsampling=subsampling)
    coding, photo = coding_of(path), images.read(path)
    assert coding.subsampling == subsampling and coding.size == CAT.shape[:2]
    problem = from_file(coding, 1)
    height, width = coding.size
    ours = ((problem.observation.y[0, :, :height, :width] + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(ours - photo.pixels).mean() < 0.5


@pytest.mark.parametrize("how", [{"subsampling": 0}, {"subsampling": 2}, "grey"])
def test_projections_onto_the_cells(how: Any, tmp_path: Path) -> None:
    """Into the cells, at once, and no picture in them is nearer (in luma and chroma)."""
    grey = how == "grey"
    path = saved(tmp_path / "a.jpg", CAT[..., 1] if grey else CAT, **({} if grey else how))
    problem = from_file(coding_of(path), 1)
    cells, y = problem.observation.operator, problem.observation.y
    assert isinstance(cells, Quantised)
    z = y + 0.1 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    x = cells.project(z, y, 0.0)
    for i, c in enumerate(cells.analyse(x)):
        centre, q = cells._steps(i)
        assert ((c - centre).abs() <= 0.5 * q + 1e-3).all()
    torch.testing.assert_close(cells.project(x, y, 0.0), x, atol=1e-5, rtol=0)
    inside = cells.project(y, y, 0.0)
    to_planes = cells.to_planes[: len(cells.shrinks)]

    def planes(p: torch.Tensor) -> torch.Tensor:
        return torch.einsum("pc,bchw->bphw", to_planes, p).flatten()

    # Variational inequality of the nearest point of a convex set.
    assert torch.dot(planes(z - x), planes(inside - x)) <= 1e-2


@pytest.mark.parametrize("mode", ["fidelity", "perceptual"])
@pytest.mark.parametrize("how", [{"subsampling": 0}, {"subsampling": 2}, "grey"])
def test_compressed_again_it_is_the_file(how: Any, mode: str, tmp_path: Path) -> None:
    """Of the result, before it is rounded to 8 bits, every coefficient is the file's."""
    grey = how == "grey"
    pixels = CAT[..., 1] if grey else CAT
    path = saved(tmp_path / "a.jpg", pixels, quality=25, **({} if grey else how))
    photo = images.read(path)
    coding = coding_of(path)
    restored = restorekit.restore(
        "dejpeg", path, mode=mode, steps=None if mode == "fidelity" else 2, prior="photo-fast"
    )
    assert restored.shape == photo.pixels.shape
    from restorekit import plugins
    from restorekit.choices import Choices
    from restorekit.given import resolve
    from restorekit.restorer import Restorer
    from restorekit.shot import Shot

    task = plugins.registry().task("dejpeg")
    steps = None if mode == "fidelity" else 2
    restorer = Restorer(task, Choices(mode, prior="photo-fast", steps=steps))
    shot = Shot(photo.pixels.astype(np.float32) / 255, source=photo.source)
    exact = restorer(shot, **resolve(task, {}))
    x = torch.from_numpy(exact.pixels * 2 - 1).permute(2, 0, 1)[None].expand(-1, 3, -1, -1)
    rows, columns = (side // 16 * 16 for side in coding.size)  # what is seen of whole MCUs
    planes = [
        Plane(
            torch.from_numpy(
                part.k[: rows // 8 // part.shrink[0], : columns // 8 // part.shrink[1]].copy()
            ),
            torch.from_numpy(part.q.astype(int)),
            part.shrink,
        )
        for part in coding.components
    ]
    cells = Quantised(planes)
    for c, plane in zip(cells.analyse(x[..., :rows, :columns]), planes, strict=True):
        again = (c[0] / plane.q).round()
        assert (again == plane.k).float().mean() > 0.9995  # pixels beyond black and white are cut


def test_it_gains_and_beats_the_decoder(tmp_path: Path) -> None:
    """And the prior alone, which has no network beside it that knows the tables."""
    path = saved(tmp_path / "a.jpg", quality=15)
    before = images.read(path).pixels
    after = restorekit.restore("dejpeg", path)
    coding = coding_of(path)
    alone = from_file(coding, 1)
    prior = load_prior(find_prior("photo-real"), torch.device("cpu"), "float32")
    y, level = alone.observation.y, 2 * coding.error
    t = prior.schedule.time_for(level)
    x = prior(float(prior.schedule(t)[0]) * y, t).x_0
    assert alone.finish is not None
    looked = ((alone.finish(x)[0].permute(1, 2, 0).numpy() + 1) * 127.5).round().clip(0, 255)
    assert psnr(after, CAT) > psnr(looked, CAT) + 0.03 > psnr(before, CAT) + 0.4


@pytest.mark.parametrize("quality", [15, 50, 85])
def test_small_files_saved_once_are_not_taken_for_saved_twice(quality: int, tmp_path: Path) -> None:
    """What is uneven by chance says nothing."""
    for side in (8, 17, 24, 40, 64, 96):
        for photo in (data.chelsea(), data.coffee(), data.astronaut()):
            path = saved(tmp_path / "a.jpg", photo[100 : 100 + side, 150 : 150 + side])
            assert not saved_with_others(coding_of(path))
            path = saved(tmp_path / "b.jpg", photo[60:160, 90:250], quality=quality)
            assert not saved_with_others(coding_of(path))


def test_a_black_and_white_photo_stays_so_in_a_file_of_colour(tmp_path: Path) -> None:
    grey = CAT[..., 1:2].repeat(3, axis=2)
    path = saved(tmp_path / "a.jpg", grey, quality=30, subsampling=2)
    restored = restorekit.restore("dejpeg", path)
    assert restored.shape == grey.shape and (restored == restored[..., :1]).all()
    assert psnr(restored, grey) > psnr(images.read(path).pixels, grey) + 0.4


def test_samples_of_a_good_file_differ(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", CAT[:48, :64], quality=90)
    a, b = (
        restorekit.restore("dejpeg", path, mode="perceptual", steps=4, seed=seed) for seed in (1, 2)
    )
    assert 0.2 < np.square(a.astype(float) - b).mean() ** 0.5 < 4


@pytest.mark.parametrize("quality", [97, 99, 100])
def test_next_to_lossless_files_are_not_made_worse(quality: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", quality=quality, subsampling=0)
    before, after = images.read(path).pixels, restorekit.restore("dejpeg", path)
    assert psnr(after, CAT) >= psnr(before, CAT) - (0.3 if quality == 99 else 0)
    assert (quality == 100) == np.array_equal(before, after)


@pytest.mark.parametrize(
    ("kind", "value"), [("SHORT", 0), ("SHORT", 9), ("SHORT", 12), ("BYTE", 6), ("ASCII", 6)]
)
def test_an_orientation_that_is_none_turns_nothing(kind: str, value: int, tmp_path: Path) -> None:
    code, number = {"BYTE": (1, ">B3x"), "ASCII": (2, ">B3x"), "SHORT": (3, ">H2x")}[kind]
    entry = struct.pack(">HHI", 0x0112, code, 1) + struct.pack(number, value)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    path = saved(tmp_path / "a.jpg", quality=50, exif=exif)
    assert restorekit.restore("dejpeg", path).shape == CAT.shape


def test_broken_tables_are_refused(tmp_path: Path) -> None:
    """With steps of 0; and those of another scan, which make another picture than is seen."""
    path = saved(tmp_path / "a.jpg", quality=50)
    coding, seen = coding_of(path), torch.from_numpy(images.read(path).pixels / np.float32(127.5))
    seen = seen.permute(2, 0, 1)[None] - 1
    from_file(coding, 1, seen=seen)
    other = [dataclasses.replace(part, q=3 * part.q) for part in coding.components]
    with pytest.raises(RestorekitError, match="another picture"):
        from_file(dataclasses.replace(coding, components=tuple(other)), 1, seen=seen)
    content = bytearray(path.read_bytes())
    content[content.index(b"\xff\xdb") + 20] = 0
    path.write_bytes(content)
    with pytest.raises(RestorekitError, match=r"a\.jpg.*steps of 0.*plain JPEG"):
        restorekit.restore("dejpeg", path)


def test_the_level_is_told_by_the_coefficients(tmp_path: Path) -> None:
    for quality in (10, 30, 60, 90):
        path = saved(tmp_path / "a.jpg", data.coffee(), quality=quality, subsampling=0)
        true = np.square(images.read(path).pixels.astype(float) - data.coffee()).mean() ** 0.5
        assert 255 * coding_of(path).error == pytest.approx(true, rel=0.3)


def test_turned_grey_progressive_and_tiny_files(tmp_path: Path) -> None:
    """Upright as the reader has it, of the photo's size and channels."""
    exif = Image.Exif()
    plain = restorekit.restore("dejpeg", saved(tmp_path / "a.jpg", quality=30))
    for orientation in range(2, 9):
        exif[0x0112] = orientation
        path = saved(tmp_path / f"{orientation}.jpg", quality=30, exif=exif)
        photo = images.read(path)
        turned = restorekit.restore("dejpeg", path)
        assert turned.shape == photo.pixels.shape
        assert psnr(turned, photo.pixels) > 30
        assert np.array_equal(np.sort(turned, axis=None), np.sort(plain, axis=None))
    for pixels in (CAT[:1, :1], CAT[:5, :17], CAT[:9, :9, 1]):
        path = saved(tmp_path / "tiny.jpg", pixels, quality=50, progressive=True)
        restored = restorekit.restore("dejpeg", path)
        assert restored.shape == (*pixels.shape, 1)[:3]


def test_what_was_a_jpeg_once(tmp_path: Path) -> None:
    """Its blocks are found where it was cropped; without blocks there is nothing to know."""
    decoded = np.array(Image.open(saved(tmp_path / "a.jpg", data.coffee(), quality=20)))
    for top, left in ((0, 0), (3, 6)):
        cut = decoded[top:, left:]
        assert offset_of(cut[..., 1].astype(float)) == (-top % 8, -left % 8)
    assert offset_of(data.coffee()[..., 1].astype(float)) is None
    images.write(tmp_path / "a.png", images.Photo(decoded[3:150, 6:200]))
    clean = data.coffee()[3:150, 6:200]
    restored = restorekit.restore("dejpeg", tmp_path / "a.png", saved_with=20)
    assert psnr(restored, clean) > psnr(decoded[3:150, 6:200], clean) + 0.2
    with pytest.raises(RestorekitError, match="saved-with"):
        restorekit.restore("dejpeg", tmp_path / "a.png")


@pytest.mark.parametrize("orientation", [3, 6])
def test_turned_files_are_looked_at_as_they_are_stored(
    orientation: int, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Upright, their blocks begin anywhere."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    saved(here / "a.jpg", data.coffee()[:397, :597], quality=50, exif=exif)
    assert cli.main(["diagnose", "a.jpg"]) == 0
    assert "saved before" not in capfd.readouterr().out


def test_a_file_saved_twice_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    once = np.array(Image.open(saved(tmp_path / "a.jpg", data.coffee(), quality=30)))
    assert not saved_before(once[..., 1].astype(float))
    twice = saved(tmp_path / "b.jpg", once[3:, 2:], quality=90)
    assert saved_before(images.read(twice).pixels[..., 1].astype(float))
    assert cli.main(["dejpeg", str(twice), "-o", str(tmp_path / "out.png")]) == 0
    assert "saved before" in capsys.readouterr().err


def test_jpegs_in_other_colours_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cmyk.jpg"
    Image.fromarray(CAT).convert("CMYK").save(path)
    with pytest.raises(RestorekitError, match=r"cmyk.jpg.*plain JPEG"):
        restorekit.restore("dejpeg", path)


def test_our_coefficients_are_the_files(tmp_path: Path) -> None:
    """The encoder that the cells suppose is the one that wrote the file."""
    path = saved(tmp_path / "a.jpg", CAT[:112, :176], quality=75, subsampling=2)
    stored = jpeglib.read_dct(str(path))
    problem = from_file(coding_of(path), 1)
    cells = problem.observation.operator
    assert isinstance(cells, Quantised)
    x = torch.from_numpy(CAT[:112, :176].copy()).permute(2, 0, 1)[None] / 127.5 - 1
    for c, plane, q in zip(
        cells.analyse(x), (stored.Y, stored.Cb, stored.Cr), stored.qt[[0, 1, 1]], strict=True
    ):
        off = np.abs(c[0].numpy() / q - plane)
        assert (off < 0.5 + 0.3 * 4 / q.min()).all() and (off <= 0.5).mean() > 0.97


def test_the_benchmark_compresses_as_the_literature(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images.write(tmp_path / "clean" / "cat.png", images.Photo(CAT))
    for more, channels in (([], "0.299"), (["--luma"], "luma")):
        command = ["benchmark", "dejpeg", str(tmp_path / "clean"), "--quality", "10", *more]
        assert cli.main([*command, "--json", str(tmp_path / f"{channels}.json")]) == 0
    out = capsys.readouterr().out
    assert out.count("mean") == 2
    buffer = io.BytesIO()
    luma = np.rint(restorekit.metrics.comparable(CAT, luma=True))[..., 0].astype(np.uint8)
    Image.fromarray(luma).save(buffer, "JPEG", quality=10)
    wanted = psnr(np.array(Image.open(buffer)), luma)
    report = __import__("json").loads((tmp_path / "luma.json").read_text())
    assert report["mean"]["baseline_psnr"] == pytest.approx(wanted, abs=1e-6)
