"""`restorekit plugins new`: what it writes works as it is, and it replaces nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from restorekit.scaffold import KINDS

from .commands import run, tree

pytestmark = pytest.mark.usefixtures("here")


def test_their_tests_pass_as_written() -> None:
    folders = []
    for kind in KINDS:
        assert run(f"plugins new my-{kind} --kind {kind}") == 0
        folders.append(folder := Path(f"restorekit-my-{kind}"))
        written = tree(folder)
        assert {"pyproject.toml", "README.md", f"tests/test_my_{kind}.py"} < set(written)
        assert not any(b"$" in text for text in written.values())
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(folder.absolute()) for folder in folders),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, folders)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("Blur", "'Blur' is no name for a plugin"),
        ("two_words", "is no name"),
        ("../up", "is no name"),
        ("class", "is no name"),
        ("restorekit-blur", "is no name"),
        ("denoise", "'denoise' is taken already"),
        ("train", "'train' is taken already"),
        ("psnr --kind metric", "'psnr' is taken already"),
        ("mine -o there", "there: is there already"),
    ],
)
def test_what_it_refuses(arguments: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("there").mkdir()
    assert run(f"plugins new {arguments}") == 1
    assert words in capfd.readouterr().err
    assert list(Path().rglob("*")) == [Path("there")]


def test_listing_goes_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    listings = []
    for command in ("plugins denoise --json", "plugins list denoise --json"):
        assert run(command) == 0
        listings.append(capfd.readouterr().out.partition('"seconds"')[0])
    assert listings[0] == listings[1] and '"denoise"' in listings[0]
