"""`restorekit plugins new`: what it writes works as it is, and it replaces nothing."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from restorekit.scaffold import KINDS
from restorekit.testing import installed

from .commands import run, tree
from .sites import install

pytestmark = pytest.mark.usefixtures("here")


def test_their_tests_pass_as_written() -> None:
    """Before a package is installed; and afterwards, those that ask for the plugin by name."""
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
    for these in ([], ["-k", "test_it_"]):
        ended = subprocess.run([*command, *these], env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        for folder, kind in zip(folders, KINDS, strict=True):
            install(folder, folder.name, {f"my-{kind}": f"restorekit_my_{kind}"})


def test_their_prior_is_sound(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In all that `priors check` asks, too; and it is called as it is offered."""
    assert run("plugins new sound-one --kind prior") == 0
    monkeypatch.syspath_prepend(here / "restorekit-sound-one")
    capsys.readouterr()
    with installed(importlib.import_module("restorekit_sound_one")):
        assert run("priors check sound-one") == 0
        assert "sound-one: sound in all" in capsys.readouterr().out
        assert run("priors show sound-one") == 0
        assert json.loads(capsys.readouterr().out)["name"] == "sound-one"


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
