"""The gate of states: every number that is given is finite and has a bound."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from restorekit.errors import RestorekitError
from restorekit.options import Number
from restorekit.training import presets, trainer
from restorekit.training.settings import Settings

from .commands import run, save


@pytest.mark.parametrize(
    "command",
    [
        "train photos -o run --time-budget {}",
        "train photos -o run --save-every {}",
        "train photos -o run --validate-every {}",
        "train photos -o run --set rate={}",
        "train photos -o run --set sigma_data={}",
        "train photos -o run --set weight_decay={}",
        "superres photos/a.png -o out.png --scale {}",
        "denoise photos/a.png -o out.png --strength {}",
        "denoise photos/a.png -o out.png --max-megapixels {}",
        "denoise photos/a.png -o out.png --sigma {}",
        "benchmark inpaint photos --coverage {}",
    ],
)
@pytest.mark.parametrize("number", ["nan", "inf", "1e308"])
def test_no_number_is_endless(
    here: Path, command: str, number: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("photos").mkdir()
    save("photos/a.png", np.full((16, 16, 3), 90, dtype=np.uint8))
    assert run(command.format(number)) in (1, 2)
    assert "internal error" not in capfd.readouterr().err
    assert not Path("run").exists() and not Path("out.png").exists()


@pytest.mark.parametrize("option", ["--steps 1001", "--samples 1001", "--steps 99999999999999999"])
def test_counts_have_a_limit(here: Path, option: str) -> None:
    save("a.png", np.zeros((16, 16, 3), dtype=np.uint8))
    assert run(f"denoise a.png -o out.png --mode perceptual {option}") == 2


def test_times_from_python_are_bounded_too(tmp_path: Path) -> None:
    for how in ({"minutes": math.nan}, {"minutes": 1e308}, {"save_every": math.inf}):
        with pytest.raises(RestorekitError, match=next(iter(how))):
            trainer.train(Settings(), tmp_path, tmp_path / "run", **how)


def test_a_number_is_a_number_for_plugins_too() -> None:
    for value in ("nan", "inf", "-inf"):
        with pytest.raises(click.BadParameter, match="finite"):
            Number().convert(value, None, None)
    assert Number(0, 1).convert("0.5", None, None) == 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": []},
        {"rate": 1e308},
        {"noise": [1, 2, 3, 1e308]},
        {"batch": 10**12},
        {"network.blocks": 10**6},
        {"network.widths": [10**6]},
        {"network.block": []},
        {"network.attention": ["a"]},
        {"network.norm": "yes"},
    ],
)
def test_settings_are_bounded(change: dict[str, Any]) -> None:
    with pytest.raises(RestorekitError):
        presets.read("photo-b", None, change)


def test_settings_nested_without_end_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("a = " + "[" * 100_000)
    with pytest.raises(RestorekitError, match=r"run\.toml"):
        presets.read("photo-b", file, {})
    with pytest.raises(RestorekitError, match="KEY=VALUE"):
        presets.parse_changes(("rate=" + "[" * 100_000,))
