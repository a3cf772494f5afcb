"""Folder runs: what is mirrored, left out, resumed, shared; and that nothing is lost."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

from restorekit import images
from restorekit.errors import RestorekitError
from restorekit.folder import Manifest
from restorekit.images import Photo

from .commands import run, save, tree

CAT = data.chelsea()
NAMES = ["a.png", "b.jpg", "deep/c.png", "deep/er/d.tif", "deep/er/é -.webp", "-e.png"]


@pytest.fixture(autouse=True)
def photos(here: Path) -> None:
    """Each test works in its own folder, with a few photos in `in`."""
    for i, name in enumerate(NAMES):
        images.write(Path("in") / name, Photo(CAT[9 * i : 9 * i + 12, :14]))


def written(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The outputs that the last run wrote, as it told them."""
    return [
        Path(line).relative_to("out").as_posix() for line in capfd.readouterr().out.split("\n")[:-1]
    ]


def test_several_at_once_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: threads whose tiles share batches, with a broken photo among them."""
    Path("in/f.png").write_bytes(b"broken")
    assert run("denoise in -o one --sigma 9") == 3
    monkeypatch.setattr("restorekit.restorer.AT_ONCE", {"cpu": 3})
    assert run("denoise in -o several --sigma 9") == 3
    one, several = tree("one"), tree("several")
    assert one.keys() == several.keys() and len(one) == len(NAMES)
    for name in one:
        a, b = (
            images.read(Path(folder) / name).pixels.astype(int) for folder in ("one", "several")
        )
        assert abs(a - b).max() <= 1


def test_a_run_goes_on_where_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    """Finished photos are left alone; changed ones and lost ones are restored again."""
    assert run("denoise in -o out --sigma 9") == 0
    assert sorted(written(capfd)) == sorted(NAMES)
    first = tree("out")
    assert run("denoise in -o out --sigma 9") == 0
    assert written(capfd) == [] and tree("out") == first
    images.write("in/a.png", Photo(CAT[50:62, :14]))
    Path("out/deep/c.png").unlink()
    assert run("denoise in -o out --sigma 9") == 0
    assert written(capfd) == ["a.png", "deep/c.png"]
    second = tree("out")
    assert second.keys() == first.keys()
    assert {name for name in first if first[name] != second[name]} == {"a.png"}
    assert run("denoise in -o out --sigma 20") == 0
    assert len(written(capfd)) == len(NAMES), "other settings make other pictures"


def test_files_that_are_not_the_runs_own_are_kept(capfd: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/a.png").write_text("mine")
    assert run("denoise in -o out --sigma 9") == 3
    assert "out/a.png: exists" in capfd.readouterr().err
    edited = b"retouched by hand"
    Path("out/b.jpg").write_bytes(edited)
    images.write("in/b.jpg", Photo(CAT[50:62, :14]))
    assert run("denoise in -o out --sigma 9") == 3
    assert "out/b.jpg: exists" in capfd.readouterr().err
    assert Path("out/a.png").read_text() == "mine" and Path("out/b.jpg").read_bytes() == edited
    assert run("denoise in -o out --sigma 9 --on-exists overwrite") == 0
    assert sorted(written(capfd)) == ["a.png", "b.jpg"]


def test_a_torn_record_loses_one_photo_at_most(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("denoise in -o out --sigma 9") == 0
    (record,) = Path("out/.restorekit").glob("*.jsonl")
    whole = record.read_bytes()
    record.write_bytes(whole[:-40])
    capfd.readouterr()
    assert run("denoise in -o out --sigma 9") == 0
    assert len(written(capfd)) == 1
    assert run("denoise in -o out --sigma 9") == 0
    assert written(capfd) == []


def test_two_runs_do_not_share_a_folder(capfd: pytest.CaptureFixture[str]) -> None:
    with Manifest(Path("out")).opened((1, 2)):
        for shard in ("", "--shard 1/2", "--shard 2/3"):
            assert run(f"denoise in -o out --sigma 9 {shard}") == 1
            assert "another run is working there" in capfd.readouterr().err
        assert run("denoise in -o out --sigma 9 --shard 2/2") == 0
    assert run("denoise in -o out --sigma 9") == 0


@pytest.mark.parametrize("parts", [2, 4])
def test_shards_make_up_the_whole(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("denoise in -o whole --sigma 9") == 0
    for part in range(1, parts):
        assert run(f"denoise in -o parts --sigma 9 --shard {part}/{parts}") == 0
    monkeypatch.setenv("RANK", str(parts - 1))  # the last one as torchrun says it
    monkeypatch.setenv("WORLD_SIZE", str(parts))
    assert run("denoise in -o parts --sigma 9") == 0
    assert tree("parts") == tree("whole")


def test_choosing_renaming_and_looking_first(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("denoise in -o out --sigma 9 --include '*.png' --exclude 'deep/*' --dry-run") == 0
    assert capfd.readouterr().out.splitlines() == [
        "in/-e.png -> out/-e.png: would be restored",
        "in/a.png -> out/a.png: would be restored",
    ]
    assert not Path("out").exists()
    assert run("denoise in -o out --sigma 9 --include '*.png' --exclude 'deep/*'") == 0
    assert sorted(tree("out")) == ["-e.png", "a.png"]
    assert run("denoise in -o other --sigma 9 --format png --exclude deep") == 0
    assert {Path(name).suffix for name in tree("other")} == {".png"}
    images.write("in/a.jpg", Photo(CAT[:9, :9]))
    assert run("denoise in -o third --sigma 9 --format png") == 1
    assert "the same file as in/a.jpg" in capfd.readouterr().err.replace("in/a.png", "in/a.jpg")
    assert not Path("third").exists()


def test_failures_are_told_recorded_and_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    Path("in/bad.png").write_text("no photo")
    assert run("denoise in -o out --sigma 9 --report report.jsonl") == 3
    rows = [json.loads(line) for line in Path("report.jsonl").read_text().splitlines()]
    assert {row["state"] for row in rows} == {"restored", "failed"}
    (failed,) = (row for row in rows if row["state"] == "failed")
    assert failed["name"] == "bad.png" and "not an image" in failed["reason"]
    capfd.readouterr()
    images.write("in/bad.png", Photo(CAT[:9, :9]))
    Path("out/a.png").unlink()
    assert run("denoise in -o out --sigma 9 --retry-failed") == 0
    assert written(capfd) == ["bad.png"], "and nothing else"


def test_files_are_written_as_asked(capfd: pytest.CaptureFixture[str]) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (9, 12, 3), dtype=np.uint16)
    images.write("deep.png", Photo(deep, metadata=(("xmp", b"<x/>"),), dpi=(300, 300)))
    assert run("denoise deep.png -o own.png --sigma 3") == 0
    own = images.read("own.png")
    assert own.pixels.dtype == np.uint16 and own.metadata and own.dpi
    assert run("denoise deep.png -o bare.tif --sigma 3 --bit-depth 8 --strip-metadata") == 0
    bare = images.read("bare.tif")
    assert bare.pixels.dtype == np.uint8 and not bare.metadata and not bare.dpi
    assert np.abs(bare.pixels * 257.0 - own.pixels).max() <= 129
    assert run("denoise in/b.jpg -o coarse.jpg --sigma 3 --quality 20") == 0
    assert images.read("coarse.jpg").quality == 20
    assert run("denoise in/b.jpg -o same.jpg --sigma 3") == 0
    assert images.read("same.jpg").quality == images.read("in/b.jpg").quality
    capfd.readouterr()
    assert run("denoise in/b.jpg -o deep.jpg --sigma 3 --bit-depth 16") == 1
    assert "cannot hold 16 bits" in capfd.readouterr().err
    assert run("denoise in -o out --sigma 3 --max-megapixels 0.0001") == 3
    assert "megapixels" in capfd.readouterr().err and not tree("out")


def test_links(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A loop ends, a dead link is one failure, and no output leaves its folder."""
    Path("in/deep/loop").symlink_to(here / "in")
    Path("in/dead.png").symlink_to(here / "nowhere.png")
    assert run("denoise in -o out --sigma 9") == 3
    assert sorted(tree("out")) == sorted(NAMES)
    (here / "elsewhere").mkdir()
    Path("sly").mkdir()
    Path("sly/deep").symlink_to(here / "elsewhere")
    assert run("denoise in -o sly --sigma 9") == 1
    assert "leads it out" in capfd.readouterr().err
    assert not list((here / "elsewhere").iterdir())


def test_a_folder_that_cannot_be_read_is_told(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The photos outside it are restored. (Permissions would not stop a test run as root.)"""
    scan = os.scandir

    def forbidding(path: Any) -> Any:
        if not isinstance(path, int) and Path(path).name == "er":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", forbidding)
        assert run("denoise in -o out --sigma 9") == 3
    told = capfd.readouterr().err
    assert (
        "in/deep/er: cannot be read (Permission denied)" in told
        and "4 restored, 0 skipped, 1" in told
    )
    assert tree("out").keys() == {name for name in NAMES if "er/" not in name}


def test_masks_of_a_folder(capfd: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros((12, 14, 1), np.uint8)
    mask[3:6, 3:9] = 255
    for name in NAMES[:-1]:
        images.write((Path("masks") / name).with_suffix(".png"), Photo(mask))
    assert run("inpaint in -o out --mask-dir masks --steps 1") == 3
    err = capfd.readouterr().err
    assert "no mask for -e.png" in err and sorted(tree("out")) == sorted(NAMES[:-1])
    before = tree("out")
    mask[3:6, 3:9], mask[8:10, 3:9] = 0, 255
    images.write("masks/a.png", Photo(mask))
    images.write("masks/-e.png", Photo(mask))
    assert run("inpaint in -o out --mask-dir masks --steps 1") == 0
    assert sorted(written(capfd)) == ["-e.png", "a.png"], "a changed mask is a change"
    assert tree("out")["a.png"] != before["a.png"]


def start(output: str) -> subprocess.Popen[bytes]:
    """The real command, on many photos, each of which takes a little while."""
    command = [sys.executable, "-m", "restorekit", "superres", "in", "-o", output, "--steps", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


@pytest.fixture
def many() -> None:
    for i in range(24):
        images.write(f"in/many/{i:02}.png", Photo(CAT[i : i + 30, : 40 + i]))


def test_kill_9_leaves_nothing_behind_and_loses_one_photo_at_most(many: None) -> None:
    assert start("whole").wait() == 0
    rng = random.Random(0)
    kills = (1, rng.randint(3, 10), rng.randint(12, 25))
    for wanted in kills:
        process = start("out")
        while len(tree("out")) < wanted and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.05)
        process.kill()
        process.wait()
    assert start("out").wait() == 0
    assert tree("out") == tree("whole")
    (record,) = Path("out/.restorekit").glob("*.jsonl")
    rows = [json.loads(line) for line in record.read_text().splitlines()]
    begun = [row["name"] for row in rows if row["state"] == "begun"]
    assert len(begun) - len(set(begun)) <= len(kills), "only what was in flight is written twice"
    assert not [p for p in Path("out").rglob("*") if ".part" in p.name]


def test_interrupted_cleanly(many: None) -> None:
    process = start("out")
    while len(tree("out")) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    done = tree("out")
    assert len(done) < 30 and not [p for p in Path("out").rglob("*") if ".part" in p.name]
    for name in done:
        images.read(Path("out") / name)


STUCK = """
import sys, time
from restorekit import cli, images
def encode(photo, kind, quality):
    print("encoding", flush=True)
    time.sleep(60)
images.writing.encode = encode
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["in -o out", "in/a.png -o out.png"])
def test_a_second_interrupt_ends_at_once(here: Path, command: str) -> None:
    """The first one waits for what is being written; the second one leaves nothing of it."""
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, "denoise", *command.split(), "--sigma", "9"],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdout.readline() == b"encoding\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert not [p for p in here.rglob("*") if p.is_file() and p.name.endswith(".part")]
    assert not tree("out") and not Path("out.png").exists()


def test_a_full_disk_is_told_and_resumed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where writing fails nothing is left but the reason; and the next run goes on."""
    encode = images.writing.encode

    def full(photo: Photo, kind: str, quality: int) -> bytes:
        if kind == "TIFF":
            raise OSError(28, "No space left on device")
        return encode(photo, kind, quality)

    monkeypatch.setattr(images.writing, "encode", full)
    assert run("denoise in -o out --sigma 9") == 3
    assert "No space left" in capfd.readouterr().err
    assert "deep/er/d.tif" not in tree("out")
    monkeypatch.setattr(images.writing, "encode", encode)
    done = tree("out")
    assert run("denoise in -o out --sigma 9") == 0
    assert sorted(tree("out")) == sorted(NAMES) and done.items() <= tree("out").items()


def test_a_full_disk_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    """Of a photo's samples all are written or none; what is there stays another's."""
    save("one/a.png", CAT[:9, :11])
    command = "denoise one -o few --sigma 9 --mode perceptual --steps 2 --samples 2"
    encode, written = images.writing.encode, iter("ab")

    def full(photo: Photo, kind: str, quality: int) -> bytes:
        if next(written) == "b":
            raise OSError(28, "No space left on device")
        return encode(photo, kind, quality)

    monkeypatch.setattr(images.writing, "encode", full)
    assert run(command) == 3
    assert not tree("few")
    monkeypatch.setattr(images.writing, "encode", encode)
    save("few/a-2.png", CAT[:5, :5])
    kept = tree("few")
    assert run(command) == 3 and tree("few") == kept
    Path("few/a-2.png").unlink()
    assert run(command) == 0
    assert len(tree("few")) == 4


def test_a_name_that_is_no_text(here: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        save(f"latin/{name}", CAT[:9, :11])
    except OSError:
        pytest.skip("this disk takes text alone")
    command = shlex.split("denoise latin -o out --sigma 9 --mode perceptual --steps 2")
    done = subprocess.run(
        [sys.executable, "-m", "restorekit", *command],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert b"caf" in done.stdout
    assert (here / "out" / name).exists()


def test_one_photo_from_a_terminal_on_a_gpu(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    """Its bar is drawn by the thread that restores."""
    monkeypatch.setattr("restorekit.restorer.AT_ONCE", {"cpu": 4})
    monkeypatch.setattr("restorekit.cli.files.on_terminal", lambda: True)
    save("one/a.png", CAT[:9, :11])
    assert run("denoise one/a.png -o a.png --sigma 9") == 0
    assert Path("a.png").exists()


def test_the_record_says_why_it_cannot_be_written(here: Path) -> None:
    Path("out").write_text("a file")
    with (
        pytest.raises(RestorekitError, match="choose another folder"),
        Manifest(here / "out").opened(),
    ):
        pass
