"""Settings: what is refused, where they come from, what follows from them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from restorekit.errors import RestorekitError
from restorekit.training import draws, presets
from restorekit.training.settings import Settings
from restorekit.training.trainer import rate_at


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "magic"}, "simple"),
        ({"objective": "hybrid"}, "learned_variance"),
        ({"crop": 33}, "multiple"),
        ({"colour": 1}, "colour"),
        ({"clip": -1}, "clip"),
        ({"warmup": -1}, "warmup"),
        ({"focus": 1.5}, "focus"),
        ({"held_out": 1.0}, "held_out"),
        ({"noise": [0, 0.03, 0.6, 150]}, "noise"),
        ({"scales": []}, "scales"),
        ({"batch": 16.0}, "batch"),
        ({"ema": "high"}, "ema"),
        ({"network": 3}, "network must be a table"),
        ({"network": []}, "network must be a table"),
        ({"network": "x", "network.blocks": 3}, "network must be a table"),
        ({"network.channels": 1}, "channels"),
        ({"network.unshuffle": 0}, "unshuffle"),
        ({"network.embedding": 65}, "even"),
        ({"network.widths": [8, 100], "network.attention": [1]}, "32"),
        ({"network.block": "naf", "network.norm": True}, "naf"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(RestorekitError, match=message):
        presets.read("photo-b", None, change)


def test_settings_from_preset_file_and_changes(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("batch = 4\nrate = 1e-4\n[network]\nblocks = 3\n")
    changes = presets.parse_changes(("rate=2e-4", "network.widths=[8, 8]"))
    read = presets.read("photo-b", file, changes)
    assert (read.batch, read.rate) == (4, 2e-4)
    assert read.network.widths == (8, 8) and read.network.blocks == 3
    with pytest.raises(RestorekitError, match="KEY=VALUE"):
        presets.parse_changes(("rate",))
    file.write_text('network = "x"\n')
    with pytest.raises(RestorekitError, match="network must be a table"):
        presets.read("photo-b", file, {})


def test_noise_levels_are_as_set() -> None:
    from restorekit.engine.schedule import linear

    many = Settings(batch=1000)
    ratio = linear().noise_to_signal(draws.times(many, linear(), 5))
    lowest, low, high, highest = many.noise
    assert ratio.min() >= lowest * 0.99 and ratio.max() <= highest * 1.01
    rest = (1 - many.focus) * math.log(high / low) / math.log(highest / lowest)
    inside = ((ratio > low) & (ratio < high)).double().mean()
    assert inside == pytest.approx(many.focus + rest, abs=2e-3)
    plain = Settings(batch=1000, noise=())
    assert torch.equal(draws.times(plain, linear(), 5), torch.arange(1, 1001).double() / 1000)


def test_a_short_run_warms_up_too() -> None:
    long = Settings(warmup=500)
    rates = [rate_at(long, step, step / 20) for step in range(20)]
    assert max(rates) > 0.9 * long.rate and rates[0] < 0.01 * long.rate
    assert rate_at(long, 9, 1e-4) == pytest.approx(long.rate * 10 / 500, rel=1e-3)
