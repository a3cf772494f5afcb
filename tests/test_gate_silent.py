"""The gate against silence: less than was asked is never done without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from restorekit.folder import Workshop

from .commands import run, save, tree
from .noisy import CAT

pytestmark = pytest.mark.usefixtures("here")
DENOISE = "denoise in -o out --sigma 9"
full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has one")


@pytest.fixture(autouse=True)
def photos(here: Path) -> None:
    for number, name in enumerate(("a.png", "b.png")):
        save(f"in/{name}", CAT[9 * number : 9 * number + 12, :14])


@pytest.mark.parametrize(
    "variables",
    [{"RANK": "1"}, {"WORLD_SIZE": "4"}, {"RANK": "x"}, {"RANK": "3", "WORLD_SIZE": "4"}],
)
def test_stray_variables_make_no_shard(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run(DENOISE) == 0
    assert sorted(tree("out")) == ["a.png", "b.png"]


@pytest.mark.parametrize("rank", ["x", "2", "-1"])
def test_torchrun_s_variables_make_one_or_an_error(
    rank: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for part in ("0", "1"):
        monkeypatch.setenv("RANK", part)
        assert run(DENOISE) == 0
        assert f"part {int(part) + 1} of 2" in capfd.readouterr().err
    assert sorted(tree("out")) == ["a.png", "b.png"]
    monkeypatch.setenv("RANK", rank)
    assert run(DENOISE) == 1
    assert "name no part of a run" in capfd.readouterr().err


def test_nothing_restored_is_not_success(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png"):
        save(f"out/{name}", CAT[50:62, :14])
    assert run(f"{DENOISE} --on-exists skip") == 3
    assert "nothing was restored" in capfd.readouterr().err
    assert run("denoise in -o other --sigma 9") == 0
    assert run("denoise in -o other --sigma 9 --on-exists skip") == 0  # done already


@full_disk
def test_a_report_that_breaks_ends_no_photo(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(f"{DENOISE} --report /dev/full") == 1
    assert sorted(tree("out")) == ["a.png", "b.png"]
    assert "the report ended early" in capfd.readouterr().err


@full_disk
def test_a_benchmark_s_report_that_breaks_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("benchmark fade in --json /dev/full --quiet") == 1
    assert "/dev/full: cannot be written (No space" in capfd.readouterr().err


def test_nobody_listening_ends_no_photo() -> None:
    command = f"{sys.executable} -m restorekit {DENOISE} >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(tree("out")) == ["a.png", "b.png"] and "Traceback" not in done.stderr


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_no_memory_is_told_as_such(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(Workshop, "restore", fails)
    assert run(DENOISE) == 3
    told = capfd.readouterr().err
    assert "not enough memory" in told and "internal error" not in told


def test_names_do_not_steer_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    name = "\x1b[2J\x07.png"
    Path("in", name).write_bytes(b"no picture")
    assert run(DENOISE) == 3
    told = capfd.readouterr()
    assert "\x1b" not in told.out + told.err and "\\x1b[2J" in told.err


def test_long_names(capfd: pytest.CaptureFixture[str]) -> None:
    """255 bytes are the most; with a number behind them they are told as too long."""
    save(f"in/{'n' * 251}.png", CAT[:12, :14])
    assert run(DENOISE) == 0
    assert len(tree("out")) == 3
    assert run(f"{DENOISE} --mode perceptual --steps 2 --samples 2") == 3
    told = capfd.readouterr().err
    assert "internal error" not in told and len(tree("out")) == 3 + 2 * 4


def test_a_name_and_a_format_that_differ(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("denoise in/a.png -o wanted.jpg --sigma 9 --format png") == 1
    assert "ask for two formats" in capfd.readouterr().err
    assert not list(Path().glob("wanted*"))
    assert run("denoise in/a.png -o wanted.jpeg --sigma 9 --format jpg") == 0


def test_outputs_of_earlier_runs_are_not_restored_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run("denoise in -o in/first --sigma 9") == 0
    assert run("denoise in -o in/second --sigma 9") == 0
    assert sorted(tree("in/second")) == ["a.png", "b.png"]
    assert "outputs of an earlier run" in capfd.readouterr().err
    assert run("denoise in/first -o third --sigma 9") == 0  # named itself
    assert sorted(tree("third")) == ["a.png", "b.png"]


def test_what_killed_shards_left_goes() -> None:
    left = Path("out/.restorekit/3-of-7.part/0")
    left.mkdir(parents=True)
    (left / "0.png").write_bytes(b"half")
    assert run(DENOISE) == 0
    assert not left.parent.exists()
