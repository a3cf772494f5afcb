"""`restorekit priors`: what is imported, listed, shown, checked and removed, of every kind."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from restorekit import images, priors
from restorekit.hookspecs import hookimpl
from restorekit.loading import find_prior
from restorekit.priors import Prior, own

from .commands import run, save, tree
from .conftest import Install

FAST = priors.shipped()["photo-fast"]


@pytest.fixture(autouse=True)
def data(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(own.VARIABLE, str(here / "data"))
    return here / "data" / "priors"


def shrinking(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
    """Towards grey, the more noise the more."""
    return torch.lerp(noisy, torch.full_like(noisy, 0.5), min(sigma, 1.0))


def plugin(**offered: Any) -> dict[str, Any]:
    """One with these priors, that opens folders with a file "gain"."""

    @hookimpl
    def restorekit_priors() -> Mapping[str, Any]:
        return offered

    @hookimpl
    def restorekit_open_prior(path: Path) -> Prior | None:
        files = (path / "gain", path / "parts" / "more")
        known = path.is_dir() and files[0].exists()
        return priors.from_denoiser(shrinking, halo=0, files=files) if known else None

    return {
        "restorekit_priors": restorekit_priors,
        "restorekit_open_prior": restorekit_open_prior,
    }


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    assert run("priors list") == 0
    return {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}


def test_a_file_and_its_card(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"priors import {FAST} --name mine") == 0
    assert capsys.readouterr().out == f"{data / 'mine.safetensors'}\n"
    assert tree(data) == {
        "mine.safetensors": FAST.read_bytes(),
        "mine.md": FAST.with_suffix(".md").read_bytes(),
    }
    assert " 2.6 MB " in listed(capsys)["mine"] and find_prior("mine").name == "mine"
    assert run("priors show mine") == 0
    assert capsys.readouterr().out.strip() == FAST.with_suffix(".md").read_text().strip()
    before = tree(data)
    for command, said in (
        (f"priors import {FAST} --name mine", "--overwrite"),
        (f"priors import {FAST} --name photo", "a plugin has a prior 'photo'"),
        (f"priors import {FAST} --name ../mine", "is no name"),
        (f"priors import {FAST.with_suffix('.md')} --name text", "not a prior"),
        ("priors import missing.pth --name missing", "No such file"),
        ("priors remove photo", "was not imported; there are mine"),
    ):
        assert run(command) == 1
        assert said in capsys.readouterr().err and tree(data) == before
    assert run(f"priors import {priors.shipped()['photo']} --name mine --overwrite") == 0
    assert find_prior("mine").described["name"] == "photo"
    assert run("priors remove mine") == 0
    assert tree(data) == {} and "mine" not in listed(capsys)
    assert run("priors remove mine") == 1
    assert "was not imported; none was" in capsys.readouterr().err


def test_a_run_and_a_folder(
    data: Path, here: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a run the weights are taken; of another folder all of it, through links and unhidden."""
    install(theirs=plugin())
    for folder in ("run", "theirs/parts", "theirs/.cache"):
        (here / folder).mkdir(parents=True)
    shutil.copy(FAST, here / "run" / "prior.safetensors")
    (here / "run" / "checkpoint.pt").write_bytes(b"large")
    (here / "blob").write_bytes(b"more")
    (here / "theirs" / "parts" / "more").symlink_to(here / "blob")
    for name in ("gain", ".cache/junk"):
        (here / "theirs" / name).write_bytes(b"1")
    assert run("priors import run --name mine") == run("priors import theirs --name other") == 0
    assert tree(data) == {
        "mine.safetensors": FAST.read_bytes(),
        "other/gain": b"1",
        "other/parts/more": b"more",
    }
    assert not (data / "other" / "parts" / "more").is_symlink()
    assert run("priors import run --name other --overwrite") == 0  # another kind takes its place
    assert tree(data) == dict.fromkeys(["mine.safetensors", "other.safetensors"], FAST.read_bytes())
    assert run("priors import theirs --name mine --overwrite") == 0
    assert run("priors import theirs --name mine --overwrite") == 0
    assert set(tree(data)) == {"mine/gain", "mine/parts/more", "other.safetensors"}
    assert run("priors remove mine") == run("priors remove other") == 0
    assert list(data.iterdir()) == []


def test_a_folder_that_cannot_be_copied_leaves_nothing(
    data: Path, here: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(theirs=plugin())
    (here / "theirs" / "parts").mkdir(parents=True)
    (here / "theirs" / "gain").touch()
    assert run("priors import theirs --name mine") == 0
    (here / "theirs" / "gain2").symlink_to(here / "nowhere")
    assert run("priors import theirs --name mine --overwrite") == 1
    assert "gain2" in capsys.readouterr().err
    assert [path.name for path in data.iterdir()] == ["mine"] and set(tree(data)) == {"mine/gain"}


def test_what_is_unusable_is_listed_with_its_reason(
    here: Path,
    install: Install,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (here / "torn.safetensors").write_bytes(b"torn")
    offered = {"torn": here / "torn.safetensors", "lost": here / "lost.pth"}
    install(theirs=plugin(**offered, fine=priors.from_denoiser(shrinking)), wrong=plugin(wrong=3))
    lines = listed(capsys)
    assert "unusable" in lines["torn"] and "not a safetensors file" in lines["torn"]
    assert lines["lost"].split()[1] == "missing" and "in memory" in lines["fine"]
    assert "'wrong' is 3, neither a pathlib.Path nor a Prior" in caplog.text
    assert " 9.3 MB " in lines["photo"]
    assert run("priors show wrong") == 1 and run("priors show fine") == 0
    assert '"name": "fine"' in capsys.readouterr().out


def test_a_function_under_a_name_in_a_folder_run(
    here: Path, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is done once, again when its file has changed, and never written over."""
    weights = here / "weights.png"
    weights.write_bytes(b"1")
    prior = priors.from_denoiser(shrinking, halo=0, files=[weights])
    install(theirs=plugin(mine=prior), denoise="restorekit_denoise")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        save(f"photos/{name}.png", rng.integers(0, 256, (40, 36, 3), dtype=np.uint8))
    command = "denoise photos -o out --prior mine --sigma 25 --tile 32"
    assert run(command) == 0
    before = images.read("out/a.png").pixels
    assert np.ptp(before) < np.ptp(images.read("photos/a.png").pixels)
    capsys.readouterr()
    assert run(command) == 0
    assert "0 restored, 2 skipped" in capsys.readouterr().err
    weights.write_bytes(b"2")
    assert run(command) == 0
    assert "done already" not in capsys.readouterr().err
    single = "denoise photos/a.png --prior mine --sigma 25 --on-exists overwrite"
    assert run(f"{single} -o weights.png") == 1
    assert "is read by this very run" in capsys.readouterr().err and weights.read_bytes() == b"2"


@pytest.mark.parametrize("channels", [3, 1])
def test_check_and_bits_of_a_function(
    channels: int, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that does nothing is sound where its limits say so, and needs many bits for noise."""
    nothing = priors.from_denoiser(lambda noisy, _: noisy, channels=channels, halo=0, window=32)
    install(theirs=plugin(nothing=nothing))
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        save(f"photos/{name}.png", rng.integers(64, 192, (150, 140, 3), dtype=np.uint8))
    assert run("priors check nothing photos") == 0
    out = capsys.readouterr().out
    assert "nothing: sound in all" in out and ("one channel" in out) is (channels == 3)
    assert "it was trained to be told no more noise" not in out
    assert run("priors bits nothing photos --terms 8") == 0
    assert "2 pictures of 32 x 32" in capsys.readouterr().out


def test_training_begins_with_our_own_alone(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install(theirs=plugin(mine=priors.from_denoiser(shrinking)))
    save("photos/a.png", np.zeros((64, 64, 3), np.uint8))
    assert run("train photos -o run --init mine") == 1
    assert "'mine' is not of restorekit's own kind" in capsys.readouterr().err
