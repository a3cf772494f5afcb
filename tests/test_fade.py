"""Faded prints: the map that undoes it, what is left alone, and what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from restorekit_fade import density
from skimage import data

import restorekit
from restorekit import images
from restorekit.units import to_engine

from .commands import run, save

PHOTO = data.astronaut()[:240, 60:360]
GREY = np.rint(PHOTO.mean(axis=2, keepdims=True)).astype(np.uint8)
KEPT, PAPER = np.array([0.45, 0.6, 0.5]), np.array([0.02, 0.03, 0.09])


def faded(photo: np.ndarray, share: np.ndarray | float = KEPT, peak: int = 255) -> np.ndarray:
    """Each dye keeps a share of its density, and the paper yellows."""
    paper = PAPER if photo.shape[2] == 3 else PAPER[:1]
    return np.rint(peak * 10**-paper * (photo / 255).clip(0.04, 1) ** share)  # from a print's black


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.square(a.astype(float) - b).mean())


def test_a_faded_photo_comes_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save(str(tmp_path / "in.png"), faded(PHOTO).astype(np.uint8))
    assert run(f"fade {tmp_path}/in.png -o {tmp_path}/out.png") == 0
    back = images.read(tmp_path / "out.png").pixels
    assert error(back, PHOTO) < error(faded(PHOTO), PHOTO) / 4
    assert "of a print's range" in capfd.readouterr().err


def test_the_map_is_affine_in_density() -> None:
    """Closed form: a picture of ends alone is brought to the ends of a good print."""
    ends = np.array([0.9, 0.3])[np.arange(64 * 64).reshape(64, 64, 1) % 2]
    fading = density.analysed(to_engine(ends))
    assert fading is not None
    found = density.restored(to_engine(ends), fading, 1.0).add(1).div(2)
    expected = torch.tensor([density.LIGHT, density.DARK])
    assert torch.allclose(found[0, 0, 0, :2], expected, atol=1e-4)
    wide = -np.log10(density.DARK) + np.log10(density.LIGHT)
    assert fading.left == pytest.approx(np.log10(3) / wide, abs=1e-4)


@pytest.mark.parametrize(
    "photo", [PHOTO, GREY, data.camera()[..., None], data.coffee(), data.rocket()]
)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_has_not_faded_is_left(photo: np.ndarray, kind: type, tmp_path: Path) -> None:
    """To the bit, and nothing is said to have made it."""
    seen = photo.astype(kind) * (257 if kind is np.uint16 else 1)
    save(str(tmp_path / "in.png"), seen)
    assert run(f"fade {tmp_path}/in.png -o {tmp_path}/out.png") == 0
    assert np.array_equal(images.read(tmp_path / "out.png").pixels, seen)
    assert b"fade" not in (tmp_path / "out.png").read_bytes()


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_little_is_clipped_and_gains_are_bounded(strength: float) -> None:
    seen = faded(PHOTO, 0.15).astype(np.uint8)  # more than a gain of 3 brings back
    fading = density.analysed(to_engine(seen))
    assert fading is not None and max(fading.gains) == density.MOST
    back = restorekit.restore("fade", seen, strength=strength)
    assert ((back == 255) & (seen < 255)).any(axis=2).mean() < 3 * density.ENDS / 100 + 0.005


def test_strength_goes_part_of_the_way() -> None:
    seen = faded(PHOTO).astype(np.uint8)
    spread = [restorekit.restore("fade", seen, strength=s).std() for s in (0, 0.3, 0.6, 1)]
    assert spread == sorted(spread) and spread[0] == seen.std() < spread[1]


def test_a_tone_is_kept_and_sixteen_bits_too() -> None:
    """A sepia print: the tone of its middle greys stays, its range grows."""
    sepia = np.array([1.0, 1.1, 1.35])
    seen = faded(np.repeat(GREY, 3, axis=2), 0.4 * sepia, 65535).astype(np.uint16)
    back = restorekit.restore("fade", seen)
    assert back.dtype == np.uint16 and len(np.unique(back)) > 256
    tone = [np.log(p.reshape(-1, 3).mean(axis=0)) for p in (seen, back)]
    assert tone[0].argsort().tolist() == tone[1].argsort().tolist()
    assert np.ptp(tone[1]) > np.ptp(tone[0])  # as strong as the picture is now


def test_a_yellowed_print_of_full_range_loses_its_cast() -> None:
    paper = np.rint(PHOTO * 10 ** -np.array([0.03, 0.06, 0.15])).astype(np.uint8)
    back = restorekit.restore("fade", paper)
    ends = [np.percentile(p, 99.7, axis=(0, 1)) for p in (PHOTO, paper, back)]
    casts = [np.ptp(np.log10(end)) for end in ends]
    assert casts[2] < casts[1] / 2 and ends[2].max() > 240
    assert error(back, PHOTO) < error(paper, PHOTO) / 2


@pytest.mark.parametrize("share", [KEPT, 0.45])
def test_the_lightest_channel_is_not_clipped(share: np.ndarray | float) -> None:
    """However yellow the paper: of colours, and of a toned print, whose paper stays as it is."""
    photo = np.repeat(GREY, 3, axis=2) if isinstance(share, float) else PHOTO
    seen = np.rint(faded(photo, share) * 10 ** -np.array([0, 0.03, 0.1])).astype(np.uint8)
    back = restorekit.restore("fade", seen)
    assert (back == 255).mean() < density.ENDS / 100
    assert back.mean(axis=2).std() > 1.25 * seen.mean(axis=2).std()


@pytest.mark.parametrize("shade", [0, 255])
def test_borders_do_not_count(shade: int) -> None:
    """A print's white rim or a scanner's black one hides no fading."""
    inner = faded(PHOTO).astype(np.uint8)
    framed = np.full((280, 340, 3), shade, np.uint8)
    framed[20:-20, 20:-20] = inner
    whole, inside = (density.analysed(to_engine(p)) for p in (framed, inner))
    assert whole is not None and inside is not None
    assert whole.left == pytest.approx(inside.left, abs=0.05)


@pytest.mark.parametrize("colour", [1.0, 0.15])
@pytest.mark.parametrize("veil", [(225, 235, 255), (165, 180, 205)])
def test_mist_is_told_and_left(
    veil: tuple[int, ...], colour: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As lifted as a faded print, but its lightest parts are no old paper: they are bluish."""
    scene = GREY + colour * (PHOTO - GREY.astype(float))
    save(str(tmp_path / "in.png"), np.rint(0.4 * scene + 0.6 * np.array(veil)).astype(np.uint8))
    assert run(f"restore {tmp_path}/in.png -o {tmp_path}/out.png --preset scan") == 0
    told = capfd.readouterr()
    assert "of a print's range" in told.out + told.err
    before, after = (images.read(tmp_path / f"{name}.png").pixels for name in ("in", "out"))
    assert np.array_equal(before, after)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 5), (51, 3)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    flat = np.full((*size, 3), 90, np.uint8)
    assert np.array_equal(restorekit.restore("fade", flat), flat)


def test_nothing_is_invented_in_either_mode(tmp_path: Path) -> None:
    """No prior is asked, whatever the mode: the file may not say that one was."""
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    images.write(source, images.Photo(faded(PHOTO[:64, :96]).astype(np.uint8)))
    restorekit.restore("fade", source, mode="perceptual", output=target)
    assert b"compositeWith" not in dict(images.read(target).metadata)["xmp"]


def test_what_does_not_look_faded_is_mended_where_that_is_asked(here: Path) -> None:
    """Nobody knows a print better than who holds it; a plain picture has no range to give back."""
    images.write("sound.png", images.Photo(PHOTO))
    assert run("fade sound.png -o left.png") == 0
    assert Path("left.png").read_bytes() == Path("sound.png").read_bytes()
    assert run("fade sound.png -o wider.png --anyway") == 0
    before, after = (images.read(p).pixels.astype(float) for p in ("sound.png", "wider.png"))
    assert np.ptp(after) >= np.ptp(before) and after.std() > before.std()
    images.write("plain.png", images.Photo(np.full((40, 50, 3), 120, np.uint8)))
    assert run("fade plain.png -o same.png --anyway") == 0
    assert (images.read("same.png").pixels == 120).all()
