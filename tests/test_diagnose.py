"""What is found in photos, the chain that follows, and sound photos left as files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

import restorekit
from restorekit import chain_text, images, plugins, priors
from restorekit.choices import Choices
from restorekit.hookspecs import hookimpl
from restorekit.task import Finding, Picture, Problem, Recipe, Task

from .commands import run, save, tree
from .conftest import Install

PHOTO = cv2.resize(data.astronaut(), (320, 320), interpolation=cv2.INTER_AREA)
NOISY = (PHOTO + np.random.default_rng(3).normal(0, 12, PHOTO.shape)).clip(0, 255).astype(np.uint8)
FADED = np.rint(255 * (PHOTO / 255).clip(0.04, 1) ** 0.3).astype(np.uint8)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    return tmp_path


def jpeg(path: str, pixels: np.ndarray, quality: int) -> None:
    Image.fromarray(pixels).save(path, quality=quality)


def test_an_enlargement_leaves_what_it_is_told_to_leave() -> None:
    """Of the noise, as `restore --strength` tells it after denoise."""
    small = np.rint(NOISY[:64, :64] * 0.5 + 64).astype(np.uint8)
    rough = []
    for strength in (1.0, 0.4, 0.0):
        large = restorekit.restore("superres", small, strength=strength, steps=1)
        rough.append(np.abs(np.diff(large.astype(int), axis=0)).mean())
    assert rough[0] < 0.8 * rough[1] < 0.64 * rough[2]


def test_what_cannot_be_looked_at_is_not_called_sound(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A JPEG in printers' colours is judged by its pixels; and a broken file has a row."""
    Image.fromarray(NOISY).convert("CMYK").save("in/cmyk.jpg", quality=97)
    Path("in/broken.png").write_bytes(b"nothing")
    assert run("diagnose in --json") == 3
    rows = {Path(r["photo"]).name: r for r in json.loads(capfd.readouterr().out)}
    assert rows["cmyk.jpg"]["chain"] == "denoise" and "broken.png" in rows["broken.png"]["error"]


def test_what_is_wrong_is_found_and_mended(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save("in/noisy.png", NOISY)
    save("in/faded.png", FADED)
    save("in/sound.png", PHOTO)
    jpeg("in/coarse.jpg", PHOTO, 30)
    jpeg("in/fine.jpg", PHOTO, 95)
    assert run("diagnose in --json --preset scan") == 0
    rows = {Path(r["photo"]).name: r for r in json.loads(capfd.readouterr().out)}
    chains = {name: row["chain"] for name, row in rows.items()}
    assert chains == {
        "noisy.png": "denoise", "faded.png": "fade", "sound.png": "", "coarse.jpg": "dejpeg",
        "fine.jpg": "",
    }  # fmt: skip
    found = {f["by"]: f for f in rows["coarse.jpg"]["found"]}
    assert found["dejpeg"]["quality"] == 30 and found["size"]["width"] == 320
    assert run("restore in -o out --preset scan") == 0
    told = capfd.readouterr().err
    assert "noisy.png: done: denoise" in told
    assert "5 restored (2 of them unchanged), 0 skipped, 0 failed" in told
    for name in ("noisy.png", "faded.png", "coarse.jpg"):
        before, after = (images.read(f"{folder}/{name}").pixels for folder in ("in", "out"))
        error = [np.square(p - PHOTO.astype(float)).mean() for p in (before, after)]
        assert error[1] < 0.97 * error[0], name
    for name in ("sound.png", "fine.jpg"):  # the very files
        assert tree("out")[name] == tree("in")[name]
    done = tree("out")
    assert run("restore in -o out --preset scan") == 0
    assert "0 restored, 5 skipped" in capfd.readouterr().err and tree("out") == done


def test_scratches_are_told_and_left_to_people(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is repaired unasked; but who looks for `restore`'s answer learns of it."""
    scratched = PHOTO.copy()
    cv2.line(scratched, (10, 20), (300, 140), (250, 250, 250), 2)
    cv2.line(scratched, (250, 5), (220, 310), (250, 250, 250), 2)
    save("in/scratched.png", scratched)
    save("in/sound.png", PHOTO)
    assert run("restore in -o out") == 0
    told = capfd.readouterr().err
    assert "scratched.png: left as it is" in told
    assert "scratched.png: perhaps scratches or dust on" in told and "--mask auto" in told
    assert "sound.png: nothing to mend: left as it is" in told
    assert tree("out")["scratched.png"] == tree("in")["scratched.png"]


def test_dry_run_shows_what_run_takes(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save("in/noisy.png", NOISY)
    assert run("restore in/noisy.png -o a.png --dry-run --strength 0.5 --preset web") == 0
    shown = capfd.readouterr().out.strip()
    chain = "denoise strength=0.5 | superres strength=0.5"
    assert shown == f"in/noisy.png -> a.png: would be restored: {chain}"
    assert not Path("a.png").exists()
    save("in/other.png", PHOTO)
    told = []
    for part in "1/2", "2/2":
        assert run(f"restore in -o out --dry-run --shard {part}") == 0
        told += capfd.readouterr().out.splitlines()
    assert sorted(told) == [
        "in/noisy.png -> out/noisy.png: would be restored: denoise",
        "in/other.png -> out/other.png: would be restored: nothing to mend",
    ]
    Path("in/broken.png").write_text("no photo")
    assert run("restore in -o out --dry-run") == 3
    assert "in/broken.png -> out/broken.png: would fail: " in capfd.readouterr().out
    assert run("restore in/noisy.png -o a.png --strength 0.5 --no-provenance") == 0
    assert run("run 'denoise strength=0.5' in/noisy.png -o b.png --no-provenance") == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


@pytest.mark.parametrize("how", ["", "--quality 50", "--strip-metadata", "--bit-depth 8"])
def test_a_photo_left_alone_is_its_file(here: Path, how: str) -> None:
    """Unless something else is asked of the file."""
    smooth = np.linspace(20, 230, 96 * 96).reshape(96, 96, 1).repeat(3, 2).astype(np.uint8)
    jpeg("in.jpg", smooth, 97)
    assert run(f"denoise in.jpg -o out.jpg {how}") == 0
    assert (Path("out.jpg").read_bytes() == Path("in.jpg").read_bytes()) == (not how)
    assert run("denoise in.jpg -o out.png") == 0
    assert np.array_equal(images.read("out.png").pixels, images.read("in.jpg").pixels)


class Invert(Task):
    """A stranger's task with a finding of its own."""

    name = "invert"
    summary = "Turn a negative round."
    recipes = {"fidelity": Recipe("none", "ddim", steps=1)}
    stage = 5

    def find(self, picture: Picture) -> Iterable[Finding]:
        if picture.pixels.mean() > 0.5:
            yield Finding("a negative", {"mean": float(picture.pixels.mean())}, {})

    def observe(self, picture: Picture, **options: Any) -> Problem:
        from restorekit.engine.conditioning import Degradation, Observation
        from restorekit.engine.operators import Identity

        x = -picture.pixels
        size = (x.shape[2], x.shape[3])
        return Problem(Observation(x, Degradation(Identity())), size, x, 0.0, True)


class Rude(Invert):
    name = "rude"

    def find(self, picture: Picture) -> Iterable[Finding]:
        raise ValueError("not today")


def test_a_stranger_s_finding_is_told_and_mended(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one whose finder fails is told, and spoils nothing."""
    tasks = plugins.registry().tasks
    for task in (Invert(), Rude()):
        monkeypatch.setitem(tasks, task.name, task)
    negative = np.full((64, 64, 3), 240, np.uint8)
    save("in.png", negative)
    assert run("diagnose in.png") == 0
    told = capfd.readouterr().out
    assert "a negative" in told and "-> " in told and "invert" in told.splitlines()[-1]
    assert "rude       could not look: ValueError: not today" in told
    save("sound.png", PHOTO)
    assert run("diagnose sound.png") == 0
    assert capfd.readouterr().out.split()[-4:] == ["left", "as", "it", "is"]
    assert run("restore sound.png -o left.png") == 0
    err = capfd.readouterr().err
    assert "rude could not look: ValueError" in err and "nothing to mend" not in err
    assert run("restore in.png -o out.png") == 0
    assert np.array_equal(images.read("out.png").pixels, 255 - negative)


def test_a_folder_without_photos_is_told(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("diagnose in") == 1
    assert "in: holds no photos" in capfd.readouterr().err


def test_masks_beside_their_photos_are_not_looked_at(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save("in/a.png", PHOTO)
    save("in/a-mask.png", np.uint8(255) * (PHOTO[..., 0] > 128))
    assert run("diagnose in --json") == 0
    out, err = capfd.readouterr()
    assert [row["photo"] for row in json.loads(out)] == ["in/a.png"]
    assert "left out: 1 masks of photos beside them (a-mask.png)" in err


def test_broken_photos_are_told(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save("in/a.png", PHOTO)
    Path("in/b.png").write_bytes(b"none")
    assert run("diagnose in") == 3
    out, err = capfd.readouterr()
    assert "a.png" in out and "b.png" in err
    assert run("diagnose in/b.png") == 1


@given(
    sigma=st.floats(0, 100), strength=st.floats(0, 10), scale=st.floats(1.01, 8), odd=st.booleans()
)
@settings(max_examples=50, deadline=None)
def test_a_chain_is_written_as_it_is_read(
    sigma: float, strength: float, scale: float, odd: bool
) -> None:
    steps: list[chain_text.Step] = [
        ("denoise", {"sigma": sigma / 255, "strength": strength}),
        ("superres", {"scale": scale}),
        ("inpaint", {"mask": "a mask's | own = file.png", "mask_invert": odd}),
    ]
    chain = chain_text.of(steps, Choices())
    again = chain_text.of(chain_text.written(chain), Choices())
    for one, two in zip(chain.links, again.links, strict=True):
        assert one.task == two.task
        for name, value in one.options.items():
            near = pytest.approx(value, rel=1e-8) if isinstance(value, float) else value
            assert two.options[name] == near


def test_in_python() -> None:
    diagnosis = restorekit.diagnose(NOISY)
    assert [name for name, _ in diagnosis.steps()] == ["denoise"]
    assert restorekit.diagnose(PHOTO).steps() == []
    mended = restorekit.restore(diagnosis.steps(), NOISY)
    assert np.array_equal(mended, restorekit.restore("denoise", NOISY))


def test_a_folder_whose_priors_a_plugin_has_made(here: Path, install: Install) -> None:
    """Priors that are objects, of no file or of several, beside those that are paths."""
    weights = here / "weights.bin"
    weights.write_bytes(b"some")
    made = priors.from_denoiser(lambda noisy, _: noisy, files=[weights], name="made")
    offered = {"made": made, "lost": here / "lost.pth"}

    @hookimpl
    def restorekit_priors() -> dict[str, Any]:
        return offered

    install(mine={"restorekit_priors": restorekit_priors})
    save("in/a.png", PHOTO)
    assert run("restore in -o out") == 0
    Path("out/a.png").unlink()
    assert run("restore in -o out --on-exists skip") == 0
    assert Path("out/a.png").exists()
