"""Folder runs again and again: what counts as done, and whose a file in the output folder is."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from restorekit import images, plugins
from restorekit.folder import Job, Manifest
from restorekit.images import Photo

from . import commands, sites
from .commands import run

CAT = data.chelsea()


pytestmark = pytest.mark.usefixtures("here")


def save(path: str, top: int = 0) -> None:
    commands.save(path, CAT[top : top + 12, :14])


def test_another_card_with_the_same_names_replaces_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    save("card1/IMG_1.png")
    save("card2/IMG_1.png", 50)
    assert run("denoise card1 -o out --sigma 9") == 0
    first = Path("out/IMG_1.png").read_bytes()
    assert run("denoise card2 -o out --sigma 9") == 3
    assert "exists" in capfd.readouterr().err and Path("out/IMG_1.png").read_bytes() == first
    assert run("denoise card1 -o out --sigma 9") == 0  # what was refused has left no trace
    assert run("denoise card2 -o out --sigma 9 --on-exists rename") == 0
    assert run("denoise card1 -o out --sigma 9 --on-exists skip") == 3
    assert Path("out/IMG_1.png").read_bytes() == first


def test_a_run_killed_while_renaming_does_not_own_what_was_there() -> None:
    """Its last row says what it was about to write, by hash, and that alone is its own."""
    save("in/a.png")
    save("out/a.png", 50)
    kept = Path("out/a.png").read_bytes()
    assert run("denoise in -o out --sigma 9 --on-exists rename") == 0
    record = Path("out/.restorekit/1-of-1.jsonl")
    begun, _done = record.read_text().splitlines()
    assert list(json.loads(begun)["writing"]) == ["a-1.png"]
    record.write_text(begun + "\n")  # killed when the file had its name: it is written again
    assert run("denoise in -o out --sigma 9 --on-exists rename") == 0
    assert not Path("out/a-2.png").exists()
    record.write_text(begun + "\n")  # killed before, and somebody has put his own there since
    Path("out/a-1.png").write_bytes(b"foreign")
    assert run("denoise in -o out --sigma 9 --on-exists rename") == 0
    assert Path("out/a-1.png").read_bytes() == b"foreign" and Path("out/a-2.png").exists()
    assert Path("out/a.png").read_bytes() == kept


def test_renamed_files_do_not_meet() -> None:
    """a.png would become a-1.png, which another photo of the run will be."""
    save("in/a.png")
    save("in/a-1.png", 50)
    save("out/a.png", 90)
    assert run("denoise in -o out --sigma 9 --on-exists rename") == 0
    assert sorted(p.name for p in Path("out").glob("*.png")) == ["a-1.png", "a-2.png", "a.png"]


def test_renamed_files_do_not_meet_those_of_other_shards() -> None:
    """As above, where the two photos are different processes' business."""
    save("in/a.png")
    save("in/a-1.png", 50)
    save("out/a.png", 90)
    for shard in ("1/2", "2/2", "1/3", "2/3", "3/3"):
        assert run(f"denoise in -o out --sigma 9 --on-exists rename --shard {shard}") == 0
    assert sorted(p.name for p in Path("out").glob("*.png")) == ["a-1.png", "a-2.png", "a.png"]


def test_damaged_outputs_and_other_choices_are_not_done() -> None:
    save("in/a.png")
    command = "denoise in -o out --sigma 40 --mode perceptual --steps 2 --samples"
    assert run(f"{command} 3") == 0
    mean = Path("out/a-mean.png").read_bytes()
    assert run(f"{command} 2") == 0
    assert Path("out/a-mean.png").read_bytes() != mean
    whole = Path("out/a-1.png").read_bytes()
    Path("out/a-1.png").write_bytes(b"")
    assert run(f"{command} 2 --on-exists overwrite") == 0
    assert Path("out/a-1.png").read_bytes() == whole


def test_a_format_left_and_taken_up_again_is_made_anew() -> None:
    save("in/a.png")
    for sigma, suffix in ((9, "png"), (30, "tif"), (30, "png")):
        assert run(f"denoise in -o out --sigma {sigma} --format {suffix}") == 0
    assert run("denoise in -o other --sigma 30") == 0
    assert Path("out/a.png").read_bytes() == Path("other/a.png").read_bytes()


def test_a_clock_set_back_changes_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(Path("in/a.png"), Path("out/a.png"), "a.png")
    clock = [200.0]
    monkeypatch.setattr("restorekit.folder.manifest.time.time", lambda: clock[0])
    with Manifest(Path("out")).opened() as manifest:
        manifest.fail(job, "no luck")
        clock[0] = 100.0
        manifest.done(job, "key", [])
    assert not Manifest(Path("out")).failed(job)


def test_the_same_masks_by_another_path_are_the_same(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And a mask of a longer name is another photo's."""
    save("in/a.png")
    images.write(
        "masks/a.1.png",
        Photo((CAT[:12, :14, :1] > np.median(CAT[:12, :14, :1])).astype(np.uint8) * 255),
    )
    assert run("inpaint in -o out --mask-dir masks --steps 2") == 3
    assert "no mask for a.png" in capfd.readouterr().err
    Path("masks/a.1.png").rename("masks/a.png")
    assert run("inpaint in -o out --mask-dir masks --steps 2") == 0
    assert run(f"inpaint in -o out --mask-dir {here / 'masks'} --steps 2") == 0
    assert "0 restored, 1 skipped" in capfd.readouterr().err


def test_a_link_to_itself_fails_alone(capfd: pytest.CaptureFixture[str]) -> None:
    save("in/a.png")
    Path("in/loop.jpg").symlink_to("loop.jpg")
    assert run("denoise in -o out --sigma 9") == 3
    assert "in/loop.jpg: cannot be read" in capfd.readouterr().err
    assert Path("out/a.png").exists()


def test_sixteen_bits_of_an_8_bit_photo_are_sixteen() -> None:
    save("in/a.png")
    assert run("denoise in/a.png -o a.tif --sigma 9 --bit-depth 16") == 0
    pixels = images.read("a.tif").pixels
    assert pixels.dtype == "uint16" and (pixels % 257 != 0).any()


def test_what_selects_nothing_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    save("in/a.png")
    assert run("denoise in -o out --include '*.TIF'") == 1
    assert "none of 1 photos is wanted" in capfd.readouterr().err
    assert run("denoise in -o in --format tif") == 1
    assert "is an input itself" in capfd.readouterr().err
    assert run("denoise in -o out --report nowhere/report.jsonl") == 1
    assert "nowhere/report.jsonl: cannot be written" in capfd.readouterr().err


def test_a_plugin_is_watched_by_its_version(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code may change unseen; and what is there already is made again by no option."""
    monkeypatch.syspath_prepend(here / "site")
    save("in/a.png")
    command = "wash in -o out --prior photo-fast"

    def made(code: str, version: str, options: str = "") -> bytes:
        for old in Path("site").glob("*.dist-info"):
            shutil.rmtree(old)
        sites.install(here / "site", "washing", {"wash": "washing"}, version)
        Path("site/washing.py").write_text(code)
        sys.modules.pop("washing", None)
        importlib.invalidate_caches()
        plugins.registry.cache_clear()
        assert run(f"{command} {options}") == 0
        return Path("out/a.png").read_bytes()

    darker = sites.HEALTHY.replace("x = picture.pixels", "x = picture.pixels - 0.1")
    first = made(sites.HEALTHY, "1.0")
    assert made(darker, "1.0") == made(darker, "1.0", "--on-exists overwrite") == first
    Path("out/a.png").unlink()
    second = made(darker, "1.0")
    assert second != first
    assert made(sites.HEALTHY, "1.0") == second
    assert made(sites.HEALTHY, "1.1") != second
    plugins.registry.cache_clear()
    sys.modules.pop("washing")
