"""--preview: the very pixels that a whole restoration would have, of the part that tells most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from restorekit_dejpeg.coded import measured, upright
from skimage import data

from restorekit import images, priors
from restorekit.preview import GAP, GRID, around, structure, telling
from restorekit.window import Window

from .commands import run, save, tree
from .pictures import encoded, exif

CAT = data.chelsea()
pytestmark = pytest.mark.usefixtures("here")


def halves(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Before and after, once the line between them was found."""
    both = images.read(path).pixels
    width = (both.shape[1] - GAP) // 2
    assert (both[:, width : width + GAP] == np.iinfo(both.dtype).max).all()
    return both[:, :width], both[:, width + GAP :]


def test_denoise_shows_the_pixels_of_the_whole(capfd: pytest.CaptureFixture[str]) -> None:
    """The noise is that of the whole photo, half of which has none; and the grids are the same."""
    rng = np.random.default_rng(5)
    noisy = CAT[:256, :288].astype(float)
    noisy[:, 96:] += rng.normal(0, 14, noisy[:, 96:].shape)
    noisy = noisy.round().clip(0, 255).astype(np.uint8)
    save("in.png", noisy)
    assert run("denoise in.png -o whole.png --prior photo-fast") == 0
    said = capfd.readouterr().err
    assert run("denoise in.png -o part.png --prior photo-fast --preview 200 --at 20,40") == 0
    where, found = capfd.readouterr().err.splitlines()
    assert "200 x 200 pixels around 100,100" in where and found == said.strip()
    before, after = halves("part.png")
    assert np.array_equal(before, noisy[:200, :200])
    halo = priors.load(priors.shipped()["photo-fast"], torch.device("cpu")).halo
    assert halo is not None and halo < 128
    whole = images.read("whole.png").pixels[:200, :200].astype(int)
    inside = np.s_[: 200 - halo, : 200 - halo]
    assert np.abs(after[inside].astype(int) - whole[inside]).max() <= 1
    assert not np.array_equal(after, before)


def test_enlarged_beside_enlarged() -> None:
    save("in.png", CAT[:96, :128])
    assert run("superres in.png -o out.png --scale 3 --steps 1 --preview 40 --quiet") == 0
    before, after = halves("out.png")
    assert before.shape == after.shape == (120, 120, 3)
    assert np.abs(before.astype(int) - after).mean() < 12  # the same place


def masked() -> np.ndarray:
    """A photo in in.png, and far from its middle a hole, which mask.png marks."""
    hole = np.zeros((160, 224), np.uint8)
    hole[120:136, 170:200] = 255
    save("in.png", np.where(hole[..., None] > 0, 0, CAT[:160, :224]).astype(np.uint8))
    save("mask.png", hole)
    return hole


def test_a_hole_is_looked_for_and_its_mask_cut(capfd: pytest.CaptureFixture[str]) -> None:
    masked()
    assert run("inpaint in.png --mask mask.png -o out.png --steps 2 --preview 64") == 0
    before, after = halves("out.png")
    hole = (before == 0).all(axis=2)
    assert before.shape == (64, 64, 3) and hole.sum() == 16 * 30
    assert np.array_equal(after[~hole], before[~hole])
    assert np.abs(after[hole].astype(int) - CAT[120:136, 170:200].reshape(-1, 3)).mean() < 40
    capfd.readouterr()
    assert run("inpaint in.png --mask mask.png -o no.png --preview 64 --at 10,10") == 1
    err = capfd.readouterr().err
    assert "mask.png: marks nothing" in err and "--at" in err and not Path("no.png").exists()


@pytest.mark.parametrize(("scale", "side", "larger"), [(2, 48, 96), (1.5, 33, 50)])
def test_a_chain_cuts_the_mask_of_what_was_enlarged(scale: float, side: int, larger: int) -> None:
    """33 pixels become 50, and yet the whole is enlarged by 1.5."""
    save("in.png", CAT[:80, :112])
    whole = (round(80 * scale), round(112 * scale))
    hole = np.zeros(whole, np.uint8)
    hole[round(35 * scale) : round(45 * scale), round(50 * scale) : round(65 * scale)] = 255
    save("mask.png", hole)
    enlarge = f"superres scale={scale} sigma=0 steps=1"
    part = f"--preview {side} --at 56,40 --quiet"
    assert run(f"run '{enlarge} | inpaint mask=mask.png steps=1' in.png -o out.png {part}") == 0
    assert run(f"run '{enlarge}' in.png -o large.png {part}") == 0
    after, large = halves("out.png")[1], halves("large.png")[1]
    window = around((56, 40), side, (80, 112)).scaled((larger, larger), whole)
    same = window.cut(hole) == 0
    assert 0 < same.sum() < same.size
    assert np.abs(after[same].astype(int) - large[same]).max() <= 1
    assert (after[~same] != large[~same]).any()


def test_what_a_task_measures_it_measures_of_the_whole() -> None:
    """Fading, and the noise and the blocks of what was a JPEG: a part would tell other figures."""
    faded = 255 * (CAT[:256, :320] / 255.0) ** np.array([0.5, 0.6, 0.4])
    faded[:128] = 60 + 0.5 * faded[:128]
    save("in.png", faded.round().astype(np.uint8))
    assert run("fade in.png -o whole.png") == 0
    assert run("fade in.png -o part.png --preview 64 --at 64,64") == 0
    whole = images.read("whole.png").pixels
    window = around((64, 64), 64, whole.shape[:2])
    assert np.array_equal(halves("part.png")[1], window.cut(whole))
    assert not np.array_equal(whole, images.read("in.png").pixels)

    Path("was.jpg").write_bytes(encoded("JPEG", CAT[:253, :317], quality=20))
    save("was.png", images.read("was.jpg").pixels[3:, 5:])
    how = "--saved-with 20 --prior photo-fast --steps 1"
    assert run(f"dejpeg was.png -o sound.png {how}") == 0
    assert run(f"dejpeg was.png -o seen.png {how} --preview 200 --at 100,100") == 0
    whole = images.read("sound.png").pixels
    window = around((100, 100), 200, whole.shape[:2])
    inner = np.s_[72:128, 72:128]  # further in than the prior sees
    gap = halves("seen.png")[1][inner].astype(int) - window.cut(whole)[inner]
    assert np.abs(gap).max() <= 1


def test_what_looks_damaged_looks_so_in_its_part() -> None:
    photo = CAT[:256, :400].copy()
    photo[40:200, 180:183] = 250
    save("in.png", photo)
    how = "--mask auto --mask-threshold 0.9 --steps 1 --quiet"
    assert run(f"inpaint in.png -o out.png {how} --save-mask") == 0
    assert run(f"inpaint in.png -o part.png {how} --preview 96") == 0
    where = images.read("out-mask.png").pixels[..., 0] > 0
    before, after = halves("part.png")
    changed = (before != after).any(axis=2)
    top, left = next(
        (top, left)
        for top in range(0, 161, GRID)
        for left in range(0, 305, GRID)
        if np.array_equal(photo[top : top + 96, left : left + 96], before)
    )
    assert changed.any() and not changed[~where[top : top + 96, left : left + 96]].any()


def test_a_painted_copy_is_compared_with_what_a_chain_has_come_to() -> None:
    photo = CAT[:160, :224]
    save("in.png", photo)
    painted = photo.copy()
    painted[60:80, 100:130] = (255, 0, 0)
    save("copy.png", painted)
    chain = "denoise sigma=10 prior=photo-fast | inpaint mask=copy.png mask-color=red steps=1"
    assert run(f"run '{chain}' in.png -o out.png --preview 96 --at 112,72 --quiet") == 0
    before, after = halves("out.png")
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("grey", [True, False])
def test_the_part_of_a_jpeg(orientation: int, grey: bool) -> None:
    """Its cells decode into the pixels of the window, whichever way the photo lies."""
    cat = CAT[100:181, 150:249]
    picture = cat[..., 1] if grey else cat
    block = exif(orientation)
    Path("in.jpg").write_bytes(encoded("JPEG", picture, quality=80, subsampling=2, exif=block))
    photo = images.read("in.jpg")
    assert photo.source is not None
    coding = photo.source.coding()
    assert coding is not None
    height, width = photo.pixels.shape[:2]
    window = Window(19, 31, 32, 27, (height, width))
    stored = photo.source.stored(window)
    assert stored.whole == coding.size
    blocks = stored.grown(0, coding.mcu)
    inner = Window(
        stored.top - blocks.top, stored.left - blocks.left, stored.height, stored.width, ()
    )
    found = upright(measured(coding.part(blocks))[1][(..., *inner.slices)], orientation)
    seen = ((found[0].permute(1, 2, 0).numpy() + 1) * 127.5).clip(0, 255)
    gap = np.abs(seen.mean(2) - window.cut(photo.pixels).mean(2))
    assert gap.mean() < (0.5 if grey else 2.0)  # decoders smooth subsampled chroma as they like


def test_dejpeg_previews_turned_photos() -> None:
    block = exif(6)
    Path("in.jpg").write_bytes(encoded("JPEG", CAT[:120, :160], quality=40, exif=block))
    assert run("dejpeg in.jpg -o out.png --prior photo-fast --preview 64 --at 80,50 --quiet") == 0
    before, after = halves("out.png")
    assert before.shape == (64, 64, 3)
    gap = np.abs(before.astype(int) - after)
    assert 0 < gap.mean() < 6  # the same place, turned alike


def test_deep_and_transparent_photos() -> None:
    alpha = np.full((64, 80), 65535, np.uint16)
    alpha[:, :40] = 30000
    save("in.png", CAT[:64, :80].astype(np.uint16) * 257, alpha)
    assert run("denoise in.png -o out.png --sigma 10 --preview 64 --at 0,0 --quiet") == 0
    out = images.read("out.png")
    assert out.pixels.shape == (64, 128 + GAP, 3) and out.pixels.dtype == np.uint16
    assert out.alpha is not None and (out.alpha[:, 64 : 64 + GAP] == 65535).all()
    assert np.array_equal(out.alpha[:, :64], out.alpha[:, 64 + GAP :])


REFUSED = {
    "folder": ("denoise photos -o out.png --preview 64", "no folder"),
    "several": ("denoise in.png mask.png -o out --preview 64", "one photo"),
    "samples": ("denoise in.png -o out.png --samples 2 --preview 64", "--samples"),
    "at alone": ("denoise in.png -o out.png --at 3,4", "--preview"),
    "outside": ("denoise in.png -o out.png --preview 64 --at 224,0", "224 x 160"),
    "no place": ("denoise in.png -o out.png --preview 64 --at 12", "X,Y"),
    "tiny": ("denoise in.png -o out.png --preview 3", "--preview"),
    "nothing": ("run generate -o out.png --preview 64", "needs a photo"),
    "exists": ("denoise in.png -o mask.png --preview 64", "mask.png: exists"),
    "other mask": ("inpaint in.png --mask small.png -o out.png --preview 64", "same size"),
}


@pytest.mark.parametrize(("command", "named"), REFUSED.values(), ids=REFUSED)
def test_refusals(capfd: pytest.CaptureFixture[str], command: str, named: str) -> None:
    masked()
    save("small.png", np.full((9, 9), 255, np.uint8))
    save("photos/a.png", CAT[:20, :20])
    before = tree(Path())
    assert run(command) in (1, 2)
    out, err = capfd.readouterr()
    assert out == "" and named in err and len(err.splitlines()) == 1 and "internal" not in err
    assert tree(Path()) == before


sides = st.integers(1, 300)


@given(st.data(), sides, sides, st.integers(32, 128))
def test_windows_lie_in_the_photo(drawn: st.DataObject, height: int, width: int, side: int) -> None:
    x, y = drawn.draw(st.integers(0, width - 1)), drawn.draw(st.integers(0, height - 1))
    window = around((x, y), side, (height, width))
    rows, columns = window.slices
    assert rows.start <= y < rows.stop <= height and columns.start <= x < columns.stop <= width
    assert window.top % GRID == window.left % GRID == 0
    for length, whole in ((window.height, height), (window.width, width)):
        assert min(side, whole) - GRID < length <= side


def test_where_structure_and_smooth_areas_meet() -> None:
    """Not in the smooth half, nor in the black one, nor amid the structure."""
    picture = np.full((400, 900, 1), 128, np.uint8)
    picture[:, :300] = 0
    picture[:, 600:] = np.random.default_rng(0).integers(60, 200, (400, 300, 1))
    window = telling(structure(picture), 128, (400, 900))
    assert window.left < 600 - GRID and window.left + window.width > 600 + GRID
    blank = np.full((400, 900, 3), 90, np.uint8)
    middle = telling(structure(blank), 128, (400, 900))
    assert abs(middle.left + 64 - 450) <= GRID and abs(middle.top + 64 - 200) <= GRID
