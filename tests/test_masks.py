"""Masks: painted over a photo, on a layer, grown, found, saved and given back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from restorekit_inpaint import masks
from restorekit_inpaint.task import fill
from safetensors.torch import load_file, save_file
from skimage import data

import restorekit
from restorekit import damage, images
from restorekit.errors import RestorekitError
from restorekit.fill import telea
from restorekit.units import from_engine, to_engine

from .commands import run, save, tree

PHOTO = data.astronaut()[:192, 96:320]
STROKE = cv2.line(np.zeros(PHOTO.shape[:2], np.uint8), (20, 30), (190, 160), 255, 7) > 0


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize(("name", "rgb"), [("red", (255, 0, 0)), ("#00ff80", (0, 255, 128))])
def test_painted_over_a_copy(here: Path, suffix: str, name: str, rgb: tuple[int, ...]) -> None:
    """With a soft brush, and saved as a JPEG: the stroke is found, and nothing else."""
    opacity = cv2.GaussianBlur(STROKE.astype(np.float32), (0, 0), 1)[..., None]
    copy = np.rint(PHOTO + opacity * (np.array(rgb) - PHOTO)).astype(np.uint8)
    save(f"copy.{suffix}", copy)
    save("in.png", PHOTO)
    options = f"--mask copy.{suffix} --mask-color '{name}' --save-mask --steps 1"
    assert run(f"inpaint in.png -o out.png {options}") == 0
    found = images.read("out-mask.png").pixels[..., 0] > 0
    assert found[STROKE].mean() > 0.97
    assert not found[cv2.dilate(STROKE.astype(np.uint8), np.ones((9, 9))) == 0].any()
    outside = images.read("out.png").pixels[~found]
    assert np.array_equal(outside, PHOTO[~found])


def test_a_copy_that_nobody_painted_marks_nothing(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    images.write("copy.jpg", images.Photo(PHOTO), quality=60)
    save("in.png", PHOTO)
    assert run("inpaint in.png -o out.png --mask copy.jpg --mask-color red") == 1
    err = capfd.readouterr().err
    assert "copy.jpg: marks nothing" in err and "in red" in err and "white" not in err


@pytest.mark.parametrize("width", [1, 9])
def test_half_a_stroke_and_a_thin_one_count(here: Path, width: int) -> None:
    """A brush at half its strength, and a line of one pixel, whose colour a JPEG halves."""
    line = cv2.line(np.zeros(PHOTO.shape[:2], np.uint8), (20, 30), (190, 160), 255, width) > 0
    copy = PHOTO.copy()
    share = 1.0 if width == 1 else 0.55
    copy[line] = np.rint((1 - share) * PHOTO[line] + share * np.array([255, 0, 0]))
    images.write("copy.jpg", images.Photo(copy), quality=85)
    seen = images.read("copy.jpg").pixels.astype(np.float32)
    found = masks.painted_over(seen, PHOTO.astype(np.float32), (255, 0, 0))
    assert found[line].mean() > 0.9
    assert not found[masks.grown(line, 6) == 0].any()


def test_paint_counts_where_the_photo_is_like_it(here: Path) -> None:
    """White dust under a white brush, in a copy that nothing else has changed."""
    photo = PHOTO.copy()
    photo[90:100, 100:112] = (245, 243, 240)
    copy = photo.copy()
    copy[STROKE] = 255
    marked = masks.painted_over(copy.astype(np.float32), photo.astype(np.float32), (255,) * 3)
    assert marked[STROKE & (photo != 255).any(axis=2)].all() and not marked[~STROKE].any()


@pytest.mark.parametrize("quality", [60, 75, 90])
@pytest.mark.parametrize("name", ["red", "white", "yellow"])
def test_what_a_file_does_is_no_paint(here: Path, quality: int, name: str) -> None:
    """Saturated letters of nearly the paint's colour, which chroma at half the size smears."""
    photo = np.full((96, 160, 3), (20, 40, 200), np.uint8)
    cv2.putText(photo, "red red", (6, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (235, 30, 20), 3)
    photo[:, 120:] = PHOTO[:96, :40]
    images.write("copy.jpg", images.Photo(photo), quality=quality)
    seen = images.read("copy.jpg").pixels.astype(np.float32)
    assert masks.painted_over(seen, photo.astype(np.float32), masks.rgb(name)).mean() < 0.005


def test_paint_of_another_colour_marks_nothing(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In a folder some copies may have nothing painted: the note names the colour."""
    for folder in ("in", "copies"):
        Path(folder).mkdir()
    save("in/a.png", PHOTO)
    copy = PHOTO.copy()
    copy[STROKE] = (255, 0, 0)
    save("copies/a.png", copy)
    assert run("inpaint in -o out --mask-dir copies --mask-color blue") == 0
    assert "its copy has in blue nothing: left as it is" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["colour", "grey", "alpha"])
def test_a_photo_is_no_mask(here: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A copy that was painted over, and the option that says so forgotten."""
    pixels = PHOTO[..., 1:2] if kind == "grey" else PHOTO
    alpha = np.full(PHOTO.shape[:2], 255, np.uint8) if kind == "alpha" else None
    save("copy.png", pixels, alpha)
    save("in.png", PHOTO)
    assert run("inpaint in.png -o out.png --mask copy.png") == 1
    assert "copy.png: looks like a photo" in capfd.readouterr().err
    save("red.png", STROKE[..., None] * np.array([255, 0, 0], np.uint8))
    assert np.array_equal(masks.read("red.png"), STROKE)


def test_a_layer_marks_what_is_painted_on_it(here: Path) -> None:
    """White on nothing, as GIMP and Photoshop export it; what lies under nothing does not count."""
    layer = np.full((*STROKE.shape, 3), 255, np.uint8)
    save("layer.png", layer, STROKE.astype(np.uint8) * 255)
    assert np.array_equal(masks.read("layer.png"), STROKE)


def test_grown_by_pixels() -> None:
    """A point becomes a disk."""
    point = np.zeros((15, 15), bool)
    point[7, 7] = True
    rows, columns = np.nonzero(masks.grown(point, 3))
    assert np.hypot(rows - 7, columns - 7).max() <= 3.2
    assert masks.grown(point, 3)[7, 4:11].all() and not masks.grown(point, 3)[7, [3, 11]].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask": "auto", "mask_invert": True}, "--mask-invert goes with mask files"),
        ({"mask": "auto", "mask_color": "red"}, "--mask-color goes with --mask FILE"),
        ({"mask": STROKE, "mask_color": "red"}, "--mask-color goes with --mask FILE"),
        ({"mask": "auto", "mask_from_alpha": True}, "give one of --mask FILE, --mask auto"),
    ],
)
def test_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(RestorekitError, match=message):
        restorekit.restore("inpaint", PHOTO, **options)


def test_a_wide_hole_is_called_a_guess(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros(PHOTO.shape[:2], np.uint8)
    mask[40:120, 30:190] = 255
    save("mask.png", mask)
    save("in.png", PHOTO)
    assert run("inpaint in.png -o out.png --mask mask.png --steps 1") == 0
    assert "a hole of 80 pixels: the fill is a guess" in capfd.readouterr().err


def scratched() -> tuple[np.ndarray, np.ndarray]:
    """A photo with bright scratches and dark hairs, and where."""
    where = np.zeros(PHOTO.shape[:2], np.uint8)
    cv2.line(where, (10, 20), (200, 90), 255, 2)
    cv2.line(where, (150, 5), (130, 185), 255, 2)
    photo = PHOTO.copy()
    photo[where > 0] = 250
    return photo, where > 0


def test_damage_is_found_saved_and_may_be_given_back(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A folder: the scratches are found, the sound photo is left; and their masks do the same."""
    photo, where = scratched()
    (here / "in").mkdir()
    save("in/scratched.png", photo)
    save("in/sound.png", PHOTO)
    assert run("inpaint in -o out --mask auto --save-mask --steps 2") == 0
    assert "sound.png: no damage found: left as it is" in capfd.readouterr().err
    found = images.read("out/scratched-mask.png").pixels[..., 0] > 0
    assert found[where].mean() > 0.6
    assert found[masks.grown(where, 6) == 0].mean() < 0.01
    assert not images.read("out/sound-mask.png").pixels.any()
    assert np.array_equal(images.read("out/sound.png").pixels, PHOTO)
    error = [np.square(p - PHOTO.astype(float))[where].mean() for p in (photo, restored("out"))]
    assert error[1] < error[0] / 2.5
    assert run("inpaint in/scratched.png -o again.png --mask-dir out --steps 2") == 0
    assert np.array_equal(images.read("again.png").pixels, restored("out"))
    capfd.readouterr()
    assert run("inpaint in -o all --mask-dir out --steps 2") == 0
    assert "sound.png: its mask marks nothing: left as it is" in capfd.readouterr().err
    assert np.array_equal(images.read("all/sound.png").pixels, PHOTO)
    before = tree("out")
    assert run("inpaint in -o out --mask auto --save-mask --steps 2") == 0
    assert tree("out") == before and "done already" in capfd.readouterr().err


def restored(folder: str) -> np.ndarray:
    return images.read(f"{folder}/scratched.png").pixels


@pytest.mark.parametrize("seed", range(4))
def test_the_first_guess_is_teleas_of_the_whole_photo(seed: int) -> None:
    """Though it looks only around the holes, which may lie at an edge."""
    rng = np.random.default_rng(seed)
    photo = cv2.resize(PHOTO, (130, 90))
    hole = np.zeros(photo.shape[:2], np.uint8)
    for _ in range(1 + seed):
        start, way = rng.integers(0, (130, 90)), rng.integers(-30, 30, 2)
        cv2.line(hole, start.tolist(), (start + way).tolist(), 1, int(rng.integers(1, 9)))
    whole = telea(photo, hole > 0)
    guess = from_engine(fill(to_engine(photo), hole > 0), np.dtype(np.uint8))
    np.testing.assert_array_equal(guess, whole)


def test_a_line_is_followed_and_an_area_must_be_sure_itself() -> None:
    """From where it is sure on; a shadow that a scratch runs into is not taken with it."""
    sure = torch.zeros(120, 160)
    sure[20:24, 10:150] = 0.6  # a line, faint but for one place
    sure[20:24, 70:80] = 0.999
    sure[60:100, 10:50] = 0.6  # areas, half as sure, and one of them mostly
    sure[80:84, 5:60] = 0.999
    sure[60:100, 90:130] = 0.6
    sure[60:90, 90:130] = 0.999
    sure[110:114, 10:150] = 0.6  # faint alone
    found = damage.marked(sure, 0.99)
    assert found[20:24, 10:150].all() and not found[110:114].any()
    assert found[80:84, 5:60].all() and found[60:78, 10:50].mean() == 0
    assert found[60:100, 90:130].mean() > 0.95


def test_handwriting_goes_where_that_is_asked(here: Path) -> None:
    """It is found by itself, and never taken for damage."""
    ink = np.zeros(PHOTO.shape[:2], np.uint8)
    for words, at in (("Summer 1921", (8, 40)), ("at the lake", (25, 175))):
        cv2.putText(ink, words, at, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, 0.9, 255, 2, cv2.LINE_AA)
    opacity = ink[..., None] / 255 * 0.85
    save("in.png", np.rint(PHOTO + opacity * (np.array([25, 30, 70]) - PHOTO)).astype(np.uint8))
    found = {}
    for option in ("", "--mask-writing"):
        options = f"--mask auto --save-mask --steps 1 --on-exists overwrite {option}"
        assert run(f"inpaint in.png -o out.png {options}") == 0
        found[option] = images.read("out-mask.png").pixels[..., 0] > 0
    written = ink > 60
    assert found[""][written].mean() < 0.05
    assert found["--mask-writing"][written].mean() > 0.5
    assert found["--mask-writing"][masks.grown(written, 6) == 0].mean() < 0.03


def test_what_finds_damage_may_be_ones_own(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The weights of a run, whatever they have become; one that finds all of a photo is no use."""
    (here / "in").mkdir()
    (here / "mine").mkdir()
    save("in/photo.png", PHOTO)
    weights = load_file(damage.WEIGHTS)
    weights["head.weight"] = torch.zeros_like(weights["head.weight"])
    command = "inpaint in -o out --mask auto --mask-finder mine --save-mask --steps 1"
    for bias, writing, found in ((-20, "", False), (-20, "--mask-writing", True), (20, "", True)):
        weights["head.bias"] = torch.tensor([bias, -20.0])
        if writing:
            weights["head.bias"][1] = 20.0
        save_file(weights, here / "mine" / "damage.safetensors")
        assert run(f"{command} {writing} --on-exists overwrite") == (3 if found else 0)
        assert ("all of it looks damaged" in capfd.readouterr().err) == found
    save_file({"head.bias": torch.zeros(2)}, here / "mine" / "damage.safetensors")
    assert run(f"{command} --on-exists overwrite") == 3
    assert "damage.safetensors: holds no weights of DamageNetwork" in capfd.readouterr().err
    assert run("inpaint in/photo.png -o out.png --mask auto --mask-finder none") == 1
    assert "none: " in capfd.readouterr().err
    save("mask.png", np.uint8(255) * STROKE)  # where the mask is given, nothing is looked for
    assert run("inpaint in -o own --mask mask.png --mask-finder none --steps 1") == 0


def test_a_sound_photo_is_not_written_as_its_mask(here: Path) -> None:
    """Where the picture is there and the mask is not."""
    flat = np.full((32, 32, 3), 90, np.uint8)
    save("in.png", flat)
    save("out.png", flat)
    assert run("inpaint in.png -o out.png --mask auto --save-mask --on-exists skip") == 0
    assert not images.read("out-mask.png").pixels.any()


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 1), (np.uint16, 1), (np.uint16, 255)])
def test_masks_whose_white_is_nearly_black_mark_what_they_mark(
    dtype: type, white: int, here: Path
) -> None:
    """As programs write them that count from 0 to 1, or 8 bits in a file of 16."""
    save("mask.png", STROKE.astype(dtype) * dtype(white))
    assert np.array_equal(masks.read("mask.png"), STROKE)


def test_a_mask_of_dark_shades_is_refused(here: Path) -> None:
    save("mask.png", np.arange(20, dtype=np.uint8).repeat(20).reshape(20, 20))
    with pytest.raises(RestorekitError, match=r"mask.png: is nearly black, its lightest 7 %"):
        masks.read("mask.png")


def test_no_photo_is_a_mask(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Not its own; and a mask beside its photo is no photo."""
    page = np.full((48, 64, 3), 250, np.uint8)
    page[8:40:6, 8:56] = 10
    save("in/page.png", page)
    assert run("inpaint in -o out --mask-dir in") == 3
    assert "is the photo itself" in capfd.readouterr().err
    save("in/page-mask.png", np.uint8(255) * (page[..., 0] < 50))
    assert run("inpaint in -o out2 --mask-dir in --steps 1") == 0
    assert "left out: 1 masks of photos beside them (page-mask.png)" in capfd.readouterr().err
    assert list(tree("out2")) == ["page.png"]


def test_a_turned_mask_is_told(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save("in.png", PHOTO[:24, :40])
    save("mask.png", np.uint8(255) * STROKE[40:80, 40:64])
    assert run("inpaint in.png -o out.png --mask mask.png") == 1
    assert "is 24 x 40 but the photo is 40 x 24; turn it" in capfd.readouterr().err


def test_a_mask_of_one_row(here: Path) -> None:
    """Of its axes only those of a batch and of channels are left out."""
    row = np.linspace(0, 255, 50).astype(np.uint8)[None, :, None].repeat(3, 2)
    hole = np.zeros((1, 50), bool)
    hole[0, 20:24] = True
    for mask in (hole, hole[None], hole[None, None], hole[..., None]):
        found = restorekit.restore("inpaint", row, mask=mask, steps=1)
        assert np.array_equal(found[~hole], row[~hole])


@pytest.mark.parametrize("name", ["Caf\u00e9.jpg", "Cafe\u0301.jpg"])
def test_an_accent_is_one_however_it_is_written(name: str, here: Path) -> None:
    """Macs write a letter and its accent; a mask painted elsewhere has one letter."""
    for mask in "Caf\u00e9.png", "Cafe\u0301-mask.png":
        save(f"masks/{mask}", np.uint8(255) * STROKE)
        assert masks.path_of(name, None, "masks") == Path("masks", mask)


def test_a_layer_of_paint_lies_over_the_photo(here: Path) -> None:
    """What it hides under nothing is no paint, be it of that colour."""
    save("in.png", PHOTO)
    paint = np.zeros_like(PHOTO)
    paint[...] = 255, 0, 0
    save("layer.png", paint, np.uint8(255) * STROKE)
    command = "inpaint in.png --mask layer.png --mask-color red --save-mask --steps 1 -o o.png"
    assert run(command) == 0
    assert np.array_equal(masks.read("o-mask.png"), STROKE)
