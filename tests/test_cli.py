"""The command line: what it promises to photos, to folders, and to those who mistype."""

from __future__ import annotations

import itertools
import os
import re
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from restorekit import images, priors
from restorekit.engine.operators import Resample
from restorekit.progress import Bar

from .commands import run, save, tree

CAT = data.chelsea()
pytestmark = pytest.mark.usefixtures("here")


# --- Bad input --------------------------------------------------------------------------------


class Mine:
    """Unpickling this leaves a trace."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("unpickled",)


def chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


@pytest.fixture
def rubble(here: Path) -> Path:
    """One sound photo, and everything that can be wrong with files."""
    save("photo.png", CAT[:24, :20])
    save("rgba.png", CAT[:24, :20], np.full((24, 20), 9, np.uint8))
    save("whole.jpg", CAT[:64, :64])
    whole = Path("whole.jpg").read_bytes()
    Path("torn.jpg").write_bytes(whole[: len(whole) // 2])
    Path("text.png").write_text("Dear diary")
    Path("empty.png").touch()
    # 60000 x 60000 RGB would be 10 GB: the header alone must be enough to refuse it.
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    Path("bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks))
    save("small-mask.png", np.full((9, 9), 255, np.uint8))
    save("black-mask.png", np.zeros((24, 20), np.uint8))
    save("white-mask.png", np.full((24, 20), 255, np.uint8))
    with open(priors.SHIPPED / "photo.safetensors", "rb") as file:
        Path("torn.safetensors").write_bytes(file.read(1 << 16))
    torch.save({"weights": Mine()}, "pickled.pt")
    torch.save({"weights": Mine()}, "pickled.safetensors")
    Path("folder").mkdir()
    return here


BAD = {
    # what is wrong: (command, what the message names, the remedy it gives)
    "missing": ("denoise no.png -o out.png", "no.png", "check the path"),
    "output is a folder": ("denoise photo.png -o folder", "folder", "name a file"),
    "torn jpeg": ("denoise torn.jpg -o out.png", "torn.jpg", "copy it again"),
    "text": ("denoise text.png -o out.png", "text.png", "give one of .png"),
    "no bytes": ("denoise empty.png -o out.png", "empty.png", "copy it again"),
    "bomb": ("denoise bomb.png -o out.png", "bomb.png", "--max-megapixels"),
    "no photos": ("denoise folder -o out", "folder", "known are"),
    "other size": ("inpaint photo.png --mask small-mask.png -o out.png", "small-mask.png", "same"),
    "black mask": ("inpaint photo.png --mask black-mask.png -o out.png", "black-mask.png", "white"),
    "white mask": ("inpaint photo.png --mask white-mask.png -o out.png", "white-mask.png", "black"),
    "missing mask": ("inpaint photo.png --mask no.png -o out.png", "no.png", "check its name"),
    "no mask": ("inpaint photo.png -o out.png", "photo.png", "--mask FILE"),
    "sigma": ("denoise photo.png --sigma -1 -o out.png", "--sigma", "0..255"),
    "scale": ("superres photo.png --scale 0 -o out.png", "--scale", "1<x<=8"),
    "scale nan": ("superres photo.png --scale nan -o out.png", "scale", "finite"),
    "no such prior": ("denoise photo.png --prior nono -o out.png", "'nono'", "use photo"),
    "torn prior": ("denoise photo.png --prior torn.safetensors -o out.png", "torn.safe", "again"),
    "pickle": ("denoise photo.png --prior pickled.pt -o out.png", "pickled.pt", ".safetensors"),
    "disguised": ("denoise photo.png --prior pickled.safetensors -o o.png", "pickled.s", "train"),
    "below a file": ("denoise photo.png -o torn.jpg/out.png", "torn.jpg/out.png", "another folder"),
    "unknown format": ("denoise photo.png -o out.gif", "out.gif", "use one of .png"),
    "transparent jpeg": ("denoise rgba.png -o out.jpg", "out.jpg", "write .png"),
    "itself": ("denoise photo.png -o folder/../photo.png", "photo.png", "name another output"),
    "itself, forced": ("denoise photo.png -o photo.png --on-exists overwrite", "photo.png", "kept"),
    "cuda": ("denoise photo.png --device cuda -o out.png", "'cuda'", "--device cpu"),
    "one answer": ("denoise photo.png --mode fidelity --samples 2 -o o.png", "--samples", "--mode"),
    "evaluate": ("evaluate photo.png whole.jpg", "photo.png", "equal sizes"),
}


@pytest.mark.parametrize(("command", "named", "remedy"), BAD.values(), ids=BAD)
def test_bad_input(
    rubble: Path, capfd: pytest.CaptureFixture[str], command: str, named: str, remedy: str
) -> None:
    if "cuda" in command and torch.cuda.is_available():
        pytest.skip("there is one")
    before = tree(rubble)
    assert run(command) in (1, 2)
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1 and err.startswith("restorekit: ")
    assert named in err and remedy in err
    assert "internal error" not in err
    assert tree(rubble) == before
    assert not Path("unpickled").exists()


def test_errors_are_exit_codes() -> None:
    """What `main` returns is what the shell sees."""
    command = [sys.executable, "-m", "restorekit", "denoise", "a.png", "--sigma", "-1", "-o", "b"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1 and "--sigma" in ended.stderr


def test_debug_shows_the_traceback(rubble: Path) -> None:
    with pytest.raises(Exception, match=r"text\.png") as caught:
        run("denoise text.png -o out.png --debug")
    assert caught.value.__cause__ is not None


# --- Randomness -------------------------------------------------------------------------------


def test_seed_and_name_decide_the_picture(here: Path) -> None:
    """Neither the order of the files, nor their company, nor the time of day."""
    save("in/a.png", CAT[:17, :20])
    save("in/b.png", CAT[30:54, 40:61])
    options = "--mode perceptual --steps 2 --sigma 30 --quiet"
    assert run(f"denoise in/a.png in/b.png -o both {options}") == 0
    assert run(f"denoise in/b.png in/a.png -o reversed {options}") == 0
    assert run(f"denoise in -o folder {options}") == 0
    assert run(f"denoise in/a.png -o alone/a.png {options}") == 0
    assert run(f"denoise in/a.png -o other/a.png {options} --seed 1") == 0
    assert tree(here / "both") == tree(here / "reversed") == tree(here / "folder")
    a = Path("both/a.png").read_bytes()
    assert Path("alone/a.png").read_bytes() == a
    assert Path("other/a.png").read_bytes() != a


def test_generated_pictures_follow_the_seed_alone() -> None:
    """A picture from nothing has no name of its own; where it is written is no part of it."""
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert run(f"generate --size 20x16 --steps 2 --seed {seed} -o {name}.png") == 0
    a, b, c = (images.read(f"{name}.png").pixels for name in "abc")
    assert a.shape == (16, 20, 3)
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_samples(capfd: pytest.CaptureFixture[str]) -> None:
    save("in.png", CAT[:16, :20])
    assert run("denoise in.png -o out.png --samples 3 --steps 2 --sigma 60") == 0
    names = ["out-1.png", "out-2.png", "out-3.png", "out-mean.png", "out-deviation.png"]
    assert capfd.readouterr().out.split() == names
    *drawn, mean, deviation = (images.read(name).pixels for name in names)
    stack = np.stack(drawn).astype(float)
    assert (stack.std(axis=0) > 0).mean() > 0.5  # samples differ
    assert np.abs(mean - stack.mean(axis=0)).max() <= 0.51
    # The map shows four times the deviation, over the channels' mean; it has no colour.
    shown = (4 * stack.std(axis=0, ddof=1).mean(axis=2)).clip(0, 255)
    assert deviation.shape[2] == 1
    assert np.abs(deviation[..., 0] - shown).max() <= 0.51


def test_samples_that_exist_are_found_before_the_work(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save("in.png", CAT[:16, :20])
    save("out-mean.png", CAT[:4, :4])
    before = tree(here)
    assert run("denoise in.png -o out.png --samples 2 --steps 1") == 1
    assert "out-mean.png: exists" in capfd.readouterr().err
    assert tree(here) == before  # not one of the samples either


# --- Files and folders ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "code", "written"),
    [("error", 1, ""), ("skip", 3, ""), ("overwrite", 0, "out.png"), ("rename", 0, "out-2.png")],
)
def test_on_exists(capfd: pytest.CaptureFixture[str], policy: str, code: int, written: str) -> None:
    save("in.png", CAT[:9, :9])
    for name in ("out.png", "out-1.png"):
        Path(name).write_text("old")
    assert run(f"denoise in.png -o out.png --sigma 10 --on-exists {policy}") == code
    out, err = capfd.readouterr()
    assert out.split() == written.split()
    assert ("--on-exists" in err) == (policy == "error")
    new = {name for name, held in tree(Path()).items() if held != b"old"}
    assert new == {"in.png", *written.split()}


def test_folder(capfd: pytest.CaptureFixture[str]) -> None:
    """The tree is mirrored; what cannot be restored is told, and stops nothing else."""
    save("in/a.png", CAT[:9, :9])
    save("in/deep/er/b.jpg", CAT[:9, :9])
    Path("in/bad.png").write_text("no photo")
    Path("in/notes.txt").write_text("no photo either, and no reason to fail")
    assert run("denoise in -o in/out --sigma 5") == 3
    out, err = capfd.readouterr()
    written = ["in/out/a.png", "in/out/deep/er/b.jpg"]
    assert out.split() == written
    assert sorted(f"in/out/{name}" for name in tree(Path("in/out"))) == written
    assert [line for line in err.splitlines() if "in/bad.png" in line]
    assert "2 restored" in err and "0 skipped, 1 failed" in err
    # The output lies in the input, but is no input the next time.
    assert run("denoise in -o in/out --sigma 5 --on-exists skip --quiet") == 3
    assert len(tree(Path("in/out"))) == 2


def test_quiet_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    save("in.png", CAT[:9, :9])
    assert run("denoise in.png -o out.png --quiet") == 0
    assert capfd.readouterr() == ("", "")


def test_progress_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bar for the evaluations of a photo, with the time that is left."""
    save("in.png", CAT[:8, :8])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    # Within the first second there is no estimate, and three steps take far less.
    monkeypatch.setattr(time, "time", itertools.count(0.0, 2.0).__next__)
    assert run("superres in.png -o out.png --steps 3") == 0
    bar = capsys.readouterr().err
    assert "in.png" in bar and "25%" in bar and "100%" in bar
    assert re.search(r"\d\d:\d\d:\d\d", bar)
    assert run("superres in.png -o other.png --steps 3 --quiet") == 0
    assert capsys.readouterr().err == ""


def test_interrupted(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C amid the work: no traceback, no file, and the cursor is back that the bar hid."""
    save("in.png", CAT[:8, :8])
    before, bar = tree(here), Bar.__call__

    def first_then_interrupt(self: Bar, done: int, total: int) -> None:
        bar(self, done, total)
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(Bar, "__call__", first_then_interrupt)
    assert run("superres in.png -o out.png --steps 3") == 130
    err = capsys.readouterr().err
    assert err.endswith("\nrestorekit: interrupted\n")
    assert err.rindex("\x1b[?25h") > err.rindex("\x1b[?25l")
    assert tree(here) == before


def test_priors(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("priors list") == 0
    lines = capfd.readouterr().out.splitlines()
    for line, (name, path) in zip(lines, priors.shipped().items(), strict=True):
        assert line.split()[0] == name and line.endswith(f"  {path}")
    assert run("priors show photo") == 0
    assert capfd.readouterr().out.strip()
    assert run("priors show nono") == 1
    assert "use photo" in capfd.readouterr().err


# --- Tasks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("how", ["--mask mask.png", "--mask mask.png --mask-invert", "alpha"])
def test_inpainting_touches_nothing_else(
    capfd: pytest.CaptureFixture[str], how: str, dtype: type
) -> None:
    deep = dtype == np.uint16
    rng = np.random.default_rng(3)  # in 16 bits the low byte counts as well
    pixels = CAT[60:84, 100:132].astype(dtype)
    if deep:
        pixels = pixels * 256 + rng.integers(0, 256, pixels.shape, dtype)
    hole = np.zeros(pixels.shape[:2], bool)
    hole[6:18, 8:24] = True
    peak = np.iinfo(dtype).max
    from_alpha = how == "alpha"
    alpha = np.where(hole, 0, peak) if from_alpha else rng.integers(0, peak, hole.shape)
    alpha = alpha.astype(dtype)
    save("in.png", np.where(hole[..., None], 0, pixels).astype(dtype), alpha)
    save("mask.png", np.where(hole ^ ("invert" in how), 255, 0).astype(np.uint8))
    options = "--mask-from-alpha" if from_alpha else how
    assert run(f"inpaint in.png -o out.png {options} --steps 2") == 0
    assert "25.0 %" in capfd.readouterr().err
    out = images.read("out.png")
    assert out.pixels.dtype == dtype
    assert np.array_equal(out.pixels[~hole], pixels[~hole])
    gap = np.abs(out.pixels[hole] / peak - pixels[hole] / peak)
    assert gap.mean() < (pixels[hole] / peak).mean() / 4  # and the black is gone
    assert out.alpha is not None
    assert np.array_equal(out.alpha, np.full_like(alpha, peak) if from_alpha else alpha)


def test_superres_size_and_alpha() -> None:
    alpha = np.zeros((21, 30), np.uint8)
    alpha[:, 15:] = 200
    save("in.png", CAT[:21, :30], alpha)
    assert run("superres in.png -o out.png --scale 2.3 --steps 1") == 0
    out = images.read("out.png")
    assert out.pixels.shape == (48, 69, 3)  # 48.3, 69
    assert out.alpha is not None and out.alpha.shape == (48, 69)
    assert (out.alpha[:, :30] == 0).all() and (out.alpha[:, 40:] == 200).all()


def reduced(large: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """By the antialiased bicubic, within 0..255 as in a file."""
    x = torch.from_numpy(large).double().permute(2, 0, 1)[None]
    y = Resample((large.shape[0], large.shape[1]), size)(x)
    return np.asarray(y[0].permute(1, 2, 0).clamp(0, 255))


@pytest.mark.parametrize("scale", [2, 4])
def test_enlarged_and_reduced_again_is_the_photo(scale: int) -> None:
    """Within half a grey level everywhere, at odd sizes and where it is over- or underexposed.

    There, the nearest picture that agrees with the photo lies outside the range of pixels.
    """
    height, width = 31, 37
    large = CAT[100 : 100 + height * scale, 180 : 180 + width * scale]
    harsh = (large.astype(float) * 2 - 110).clip(0, 255)
    small = reduced(harsh, (height, width)).round().astype(np.uint8)
    assert np.isin(small, (0, 255)).mean() > 0.1
    save("in.png", small)
    how = f"--sigma 0 --mode perceptual --steps 2 --scale {scale}"
    assert run(f"superres in.png -o out.png {how}") == 0
    out = images.read("out.png").pixels
    assert out.shape == (height * scale, width * scale, 3)
    gap = np.abs(reduced(out, (height, width)) - small).max()
    assert gap <= 0.5, f"off by {gap:.3f} grey levels"


# --- Starting up ------------------------------------------------------------------------------


def test_samples_never_overwrite_an_original(here: Path) -> None:
    """The second sample of photo.png would be photo-2.png, which is an input here."""
    save("photo-1.png", CAT[:16, :16])
    before = tree(here)
    command = "denoise photo-1.png -o photo.png --samples 2 --on-exists overwrite"
    assert run(command) == 1
    assert tree(here) == before


def test_as_a_module() -> None:
    save("in.png", CAT[:9, :9])
    command = [sys.executable, "-m", "restorekit", "denoise", "in.png", "-o", "out.png"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "out.png\n"
    assert ended.stderr.startswith("in.png: ")  # what was found, and no bar: no terminal
    assert len(ended.stderr.splitlines()) == 1
    assert images.read("out.png").pixels.shape == (9, 9, 3)
