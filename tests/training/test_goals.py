"""What else than priors a training learns: finding damage, and the level of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from restorekit import cli, damage, noise_level
from restorekit.errors import RestorekitError
from restorekit.small import loaded
from restorekit.training import presets
from restorekit.training.damage import damaged
from restorekit.training.goals import Goal, Seen, goal_of
from restorekit.training.handwriting import writing
from restorekit.training.marks import KINDS, Library
from restorekit.training.run import Run
from restorekit.training.settings import Settings
from restorekit.training.trainer import train

from .tiny import TINY, losses_of

SMALL = {"crop": 64, "batch": 4, "scales": [1.0], "steps": 4, "warmup": 0, "held_out": 0.0}
SHIPPED = {"damage": damage.WEIGHTS, "noise-level": noise_level.WEIGHTS}


def small(preset: str, **more: object) -> Settings:
    return presets.read(preset, None, SMALL | more)


@pytest.mark.parametrize("preset", list(SHIPPED))
def test_a_run_learns_and_its_weights_are_those_of_the_package(
    preset: str, photos: Path, tmp_path: Path
) -> None:
    """Killed or not, it comes to the same; and the file is what the package would ship."""
    settings = small(preset, steps=12)
    written = train(settings, photos, tmp_path / "run")
    losses = [loss for _, loss in losses_of(tmp_path / "run")]
    again = train(settings, photos, tmp_path / "parts", pause=1e-3)
    while Run(tmp_path / "parts").load("cpu")["step"] < settings.steps:
        again = train(settings, photos, tmp_path / "parts", pause=0.05)
    a, b = load_file(written), load_file(again)
    assert all(torch.equal(a[name], b[name]) for name in a), losses
    card = written.with_suffix(".md").read_text()
    goal = goal_of(settings)
    assert goal.judged.replace("_", " ") in card and "12 steps of 4 crops" in card
    loaded(type(goal.network()), written)(torch.zeros(1, 3, 64, 64))
    assert {n: t.shape for n, t in a.items()} == {
        n: t.shape for n, t in load_file(SHIPPED[preset]).items()
    }


@pytest.mark.parametrize("preset", list(SHIPPED))
def test_the_loss_falls_from_the_shipped_weights_and_from_none(
    preset: str, photos: Path, tmp_path: Path
) -> None:
    """Asked about the same crops, the shipped network is better than one of random weights."""
    goal = goal_of(small(preset))
    batch = next(goal.batches(goal.photos(photos, tmp_path), 0, range(8), False))
    losses = []
    for begun in (False, True):
        network = goal.network()
        if begun:
            assert goal.begin_with(network, goal.stem).startswith("weights (sha256 ")
        given = goal.given(network, batch, Seen(0, range(8)), "cpu")
        losses.append(goal.loss(network, *given).item())
    assert losses[1] < 0.7 * losses[0]


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    goal: Goal = goal_of(small("damage"))
    other = tmp_path / "other.safetensors"
    save_file({"stem.weight": torch.zeros(3)}, other)
    with pytest.raises(
        RestorekitError, match=r"other.safetensors: holds no weights of DamageNetwork \(tensor"
    ):
        goal.begin_with(goal.network(), other)
    weights = load_file(damage.WEIGHTS)
    weights["head.bias"][0] = torch.nan
    save_file(weights, other)
    with pytest.raises(RestorekitError, match="NaN"):
        goal.begin_with(goal.network(), str(other))
    with pytest.raises(RestorekitError, match="--marks goes with"):
        goal_of(TINY, marks=tmp_path)
    with pytest.raises(RestorekitError, match="multiple of 16"):
        goal_of(small("damage", crop=56))


def test_the_command_trains_a_detector(photos: Path, tmp_path: Path) -> None:
    settings = [f"--set={key}={value}" for key, value in SMALL.items()]
    run = ["train", str(photos), "-o", str(tmp_path / "run"), "--preset", "damage", "--quiet"]
    assert cli.main([*run, *settings, "--init", "damage", "--device", "cpu"]) == 0
    written = tmp_path / "run" / "damage.safetensors"
    before, after = load_file(damage.WEIGHTS), load_file(written)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    written.unlink()
    assert cli.main(["train", "-o", str(tmp_path / "run"), "--export"]) == 0
    assert written.exists()


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_damage_changes_a_part_of_a_picture(kind: str) -> None:
    """An opacity of every pixel, of some share of them in the mean over many."""
    shares = []
    for seed in range(12):
        opacity = KINDS[kind][1](np.random.default_rng(seed), 96, Library())
        assert opacity.shape == (96, 96) and opacity.min() >= 0 and opacity.max() <= 1
        shares.append((opacity > 0.5).mean())
    assert 0.001 < np.mean(shares) < 0.6


def test_what_is_told_to_be_damaged_was_changed_and_the_rest_was_not() -> None:
    """Without grain and JPEG, which come last, the picture differs just where it is said to."""
    grey = np.full((96, 96, 3), 128, np.uint8)
    written = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        seen = damaged(grey, rng, Library(), share=1.0, written=0.5)
        outside = ~seen.there.any(0) & seen.sure.all(0)
        if outside.sum() > 500 and seen.there[0].sum() > 100:
            level = np.median(seen.picture[outside].astype(float), axis=0)
            away = np.abs(seen.picture.astype(float) - level).max(2)
            inside = away[seen.there[0] & seen.sure[0]]
            assert inside.size == 0 or np.median(inside) > np.median(away[outside])
        written += seen.there[1].any()
        assert not (seen.there[1] & seen.there[0] & seen.sure[0]).any(), "under ink nobody knows"
    assert 8 < written < 22
    plain = damaged(grey, np.random.default_rng(0), Library(), share=0.0, written=0.0)
    assert not plain.there.any() and plain.sure.all()


def test_handwriting_covers_little_and_never_all() -> None:
    shares = [(writing(np.random.default_rng(seed), 128) > 0.5).mean() for seed in range(20)]
    assert 0.005 < np.mean(shares) < 0.3 and max(shares) < 0.6
