"""The user's defaults: which file counts, what it may say, and what it must not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from skimage import data

from restorekit import images

from .commands import run, save, tree

CAT = data.chelsea()


@pytest.fixture
def own(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file, to be written; the test works in a folder below its home."""
    monkeypatch.delenv("RESTOREKIT_CONFIG")
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setattr(platformdirs, "user_config_path", lambda *_, **__: here / "platform")
    work = here / "photos" / "scans"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    (here / "platform").mkdir()
    return here / "platform" / "config.toml"


def shown(capfd: pytest.CaptureFixture[str]) -> dict[str, tuple[object, str]]:
    capfd.readouterr()
    assert run("config show --json") == 0
    rows = json.loads(capfd.readouterr().out)
    return {row["option"]: (row["value"], Path(row["file"]).name) for row in rows}


def provenance(path: str) -> str:
    """What a file says of how it was made."""
    return dict(images.read(path).metadata)["xmp"].decode()


def test_command_line_over_project_over_user(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    own.write_text("seed = 7\n[denoise]\nstrength = 0.5\nkeep-grain = 0.25\nsigma = 20\n")
    project = Path("../restorekit.toml")  # above the folder that one works in
    project.write_text("[denoise]\nstrength = 0.75\n")
    assert shown(capfd) == {
        "seed": (7, "config.toml"),
        "denoise.strength": (0.75, "restorekit.toml"),
        "denoise.keep-grain": (0.25, "config.toml"),
        "denoise.sigma": (20, "config.toml"),  # on 0..255, as one types it
    }
    save("in.png", CAT[:16, :20])
    assert run("denoise in.png -o a.png --keep-grain 0.125 --quiet") == 0
    made = provenance("a.png")
    assert "strength=0.75" in made and "keep_grain=0.125" in made
    assert f"sigma={20 / 255:g}" in made
    capfd.readouterr()
    assert run("denoise --help") == 0  # which tells what counts here
    assert "0.75" in capfd.readouterr().out


def test_top_level_of_a_later_file_goes_before_a_table(
    own: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """But not for what trains or measures, which takes its own tables alone."""
    own.write_text("[denoise]\nseed = 1\n[train]\ndevice = 'cpu'\n[benchmark.denoise]\nseed = 2\n")
    Path("restorekit.toml").write_text("seed = 3\ndevice = 'cpu'\n")
    assert set(shown(capfd)) == {"seed", "device", "train.device", "benchmark.denoise.seed"}


def test_a_folder_run_sees_what_was_typed(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A record knows no difference between a typed value and one of a file."""
    save("in/a.png", CAT[:16, :20])
    save("in/b.png", CAT[40:56, :20])
    assert run("denoise in -o out --sigma 20 --no-provenance --include a.png --quiet") == 0
    own.write_text("provenance = false\ninclude = ['a.png']\n[denoise]\nsigma = 20\n")
    before = tree("out")
    capfd.readouterr()
    assert run("denoise in -o out") == 0
    assert "done already" in capfd.readouterr().err
    assert tree("out") == before and set(before) == {"a.png"}


def test_paths_are_from_the_files_folder(own: Path) -> None:
    hole = np.zeros((24, 20), np.uint8)
    hole[8:12, 8:12] = 255
    save("../masks/in.png", hole)
    save("in.png", CAT[:24, :20])
    Path("../restorekit.toml").write_text("[inpaint]\nmask_dir = 'masks'\nsteps = 1\n")
    assert run("inpaint in.png -o out.png --quiet") == 0
    out = images.read("out.png").pixels
    assert np.array_equal(out[hole == 0], CAT[:24, :20][hole == 0])
    assert not np.array_equal(out, CAT[:24, :20])


WRONG = {
    # what is wrong: (file, what the message names)
    "no TOML": ("a = [", "is no TOML"),
    "unknown option": ("[denoise]\nstrenght = 1", "[denoise] strenght", "Did you mean strength?"),
    "not shared": ("strength = 1", "strength", "all commands share"),
    "unknown command": ("[denosie]\nstrength = 1", "[denosie]", "Did you mean 'denoise'"),
    "unknown trial": ("[benchmark.denosie]\nseed = 1", "[benchmark.denosie]", "'denoise'"),
    "range": ("[denoise]\nstrength = -1", "[denoise] strength", "range"),
    "nan": ("[denoise]\nstrength = nan", "[denoise] strength", "finite"),
    "choice": ("mode = 'best'", "mode", "perceptual"),
    "flag": ("ensemble = 'yes'", "ensemble", "true or false"),
    "no flag": ("device = true", "device", "takes a value"),
    "list": ("include = '*.png'", "include", "a list"),
    "date": ("device = 2020-01-01", "device", "text"),
    "group": ("[benchmark]\nseed = 1", "[benchmark] seed", "[benchmark."),
    "no table": ("[config.show]\njson = true", "[config]", "delete it"),
    "once": ("[denoise]\noutput = 'x.png'", "[denoise] output", "command line alone"),
    "overwrite": ("on-exists = 'overwrite'", "on-exists", "in your own file"),
    "report": ("[denoise]\nreport = 'x.jsonl'", "report", "in your own file"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(
    own: Path, capfd: pytest.CaptureFixture[str], case: tuple[str, ...]
) -> None:
    text, *named = case
    Path("restorekit.toml").write_text(text)
    assert run("denoise in.png -o out.png") == 1
    err = capfd.readouterr().err
    assert len(err.splitlines()) == 1 and "internal error" not in err
    assert str(Path.cwd() / "restorekit.toml") in err and all(word in err for word in named), err
    # Help and the way out are there all the same.
    assert run("denoise --help") == 0 and run("help denoise") == 0 and run("config path") == 0


def test_the_users_own_file_may_overwrite(own: Path) -> None:
    own.write_text("on-exists = 'overwrite'\n")
    save("in.png", CAT[:16, :20])
    Path("out.png").write_text("old")
    assert run("denoise in.png -o out.png --sigma 5 --quiet") == 0
    assert images.read("out.png").pixels.shape == (16, 20, 3)


def test_table_of_what_is_not_installed(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It may be a plugin's, which is away for now; nobody can run it with a wrong value."""
    own.write_text("[unraincoat]\nlayers = 3\n")
    save("in.png", CAT[:16, :20])
    assert run("denoise in.png -o out.png --sigma 5 --quiet") == 0
    assert capfd.readouterr().err == ""
    assert run("config show") == 0
    out, err = capfd.readouterr()
    assert out == "" and "[unraincoat]" in err and str(own) in err


def test_which_files_are_looked_at(
    own: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def kinds() -> list[tuple[str, bool]]:
        capfd.readouterr()
        assert run("config path --json") == 0
        return [(row["kind"], row["exists"]) for row in json.loads(capfd.readouterr().out)]

    home = Path(os.environ["HOME"])
    (home.parent / "restorekit.toml").write_text("seed = 9")  # above the home: somebody else's
    assert kinds() == [("user", False)]
    (home / "restorekit.toml").write_text("seed = 1")
    assert kinds() == [("user", False), ("project", True)]
    assert shown(capfd) == {"seed": (1, "restorekit.toml")}
    own.write_text("seed = 2")
    monkeypatch.setenv("RESTOREKIT_CONFIG", str(own))  # instead of both
    assert shown(capfd) == {"seed": (2, "config.toml")}
    monkeypatch.setenv("RESTOREKIT_CONFIG", "")
    assert kinds() == [] and shown(capfd) == {}
    monkeypatch.setenv("RESTOREKIT_CONFIG", "no.toml")
    assert run("config show") == 1
    assert "no.toml: cannot be read" in capfd.readouterr().err
    (home.parent / "restorekit.toml").unlink()


def test_a_strangers_project_file_is_not_read(
    own: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = Path("restorekit.toml")
    path.write_text("seed = 1")
    if os.getuid() == 0:
        os.chown(path, 12345, -1)  # root's own files are trusted
    else:
        monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert shown(capfd) == {}
    assert run("config path") == 0
    assert "another user" in capfd.readouterr().out


def test_what_is_typed_goes_before_what_it_excludes(
    own: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of ways to mark damage, and of a format beside a file's name."""
    assert run("config show") == 0
    assert "no file sets anything" in capfd.readouterr().err
    save("in.png", CAT[:32, :32])
    save("masks/in.png", np.uint8(255) * np.eye(32, dtype=np.uint8))
    own.write_text("format = 'jpg'\n[inpaint]\nmask = 'auto'\nmask-color = 'red'\nsteps = 1\n")
    assert run("inpaint in.png --mask-dir masks -o out.png --mask-invert") == 0
    assert images.read("out.png").pixels.shape == images.read("in.png").pixels.shape
    assert run("inpaint in.png --mask-from-alpha -o other.png") == 1
    assert "the photo has no transparency" in capfd.readouterr().err
    assert run("inpaint in.png --mask auto --mask-color red -o other.png") == 1
    assert "--mask-color goes with" in capfd.readouterr().err, "both typed"
