"""What else than priors a training learns: damage, the level of noise, and enlarging."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from restorekit import cli, damage, dequantisation, enlargement, images, noise_level
from restorekit.errors import RestorekitError
from restorekit.small import loaded
from restorekit.training import presets
from restorekit.training.damage import damaged
from restorekit.training.goals import Goal, Part, goal_of
from restorekit.training.handwriting import writing
from restorekit.training.marks import KINDS, Library, library
from restorekit.training.run import Run
from restorekit.training.settings import Settings
from restorekit.training.trainer import train

from .tiny import TINY

SMALL = {"crop": 48, "batch": 4, "scales": [1.0], "steps": 4, "warmup": 0, "held_out": 0.0}
SHIPPED = {
    "damage": damage.WEIGHTS,
    "noise_level": noise_level.WEIGHTS,
    "enlargement": enlargement.WEIGHTS,
    "dequantisation": dequantisation.WEIGHTS,
}


def small(preset: str, **more: object) -> Settings:
    return presets.read(preset, None, SMALL | more)


@pytest.mark.parametrize("preset", list(SHIPPED))
def test_a_run_ends_alike_in_parts_and_with_weights_as_the_package_ships(
    preset: str, photos: Path, tmp_path: Path
) -> None:
    settings = small(preset, steps=8)
    written = train(settings, photos, tmp_path / "run")
    again = train(settings, photos, tmp_path / "parts", pause=1e-3)
    while Run(tmp_path / "parts").load("cpu")["step"] < settings.steps:
        again = train(settings, photos, tmp_path / "parts", pause=0.05)
    a, b = load_file(written), load_file(again)
    assert all(torch.equal(a[name], b[name]) for name in a)
    card = written.with_suffix(".md").read_text()
    goal = goal_of(settings)
    assert goal.judged.replace("_", " ") in card and "8 steps of 4 crops" in card
    toml = tmp_path / "again.toml"
    toml.write_text(card[card.index("```toml") + 7 : card.rindex("```")])
    assert presets.read(preset, toml, {}) == settings
    batch = next(goal.batches(goal.photos(photos, tmp_path), 0, range(2), False))
    network = loaded(type(goal.network()), written)
    loss = goal.loss(network, *goal.given(network, batch, Part(0, range(2)), "cpu"))
    assert loss.isfinite()
    assert {n: t.shape for n, t in a.items()} == {
        n: t.shape for n, t in load_file(SHIPPED[preset]).items()
    }


def test_what_enlarges_learns_a_batch(photos: Path, tmp_path: Path) -> None:
    """It begins as bicubic enlargement, which some steps over three photos are not ahead of."""
    goal = goal_of(small("enlargement", precision="float32"))
    batch = next(goal.batches(goal.photos(photos, tmp_path), 0, range(8), False))
    torch.manual_seed(0)
    network = goal.network()
    given = goal.given(network, batch, Part(0, range(8)), "cpu")
    optimiser, losses = torch.optim.Adam(network.parameters(), 1e-3), []
    for _ in range(60):
        losses.append(goal.loss(network, *given))
        losses[-1].backward()
        optimiser.step()
        optimiser.zero_grad()
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("preset", ["damage", "noise_level"])
def test_a_training_of_some_steps_learns(preset: str, photos: Path, tmp_path: Path) -> None:
    """Asked about the same crops, before and after."""
    settings = small(preset, steps=30)
    goal = goal_of(settings)
    batch = next(goal.batches(goal.photos(photos, tmp_path), 10**6, range(8), False))

    def loss(weights: Path) -> float:
        network = goal.network()
        goal.begin_with(network, weights)
        return goal.loss(network, *goal.given(network, batch, Part(0, range(8)), "cpu")).item()

    before = train(small(preset, steps=1), photos, tmp_path / "one", cache=tmp_path)
    after = train(settings, photos, tmp_path / "many", cache=tmp_path)
    assert loss(after) < 0.9 * loss(before)


def test_a_validation_scores_both_kinds_and_draws_them(photos: Path, tmp_path: Path) -> None:
    scales = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]  # a crop of the one photo large enough from each
    goal = goal_of(presets.read("damage", None, {"held_out": 0.0, "scales": scales}))
    network = goal.network()
    assert goal.begin_with(network, "damage").startswith("damage (sha256 ")
    scores = goal.scores(network.eval(), goal.photos(photos, tmp_path), "cpu", tmp_path / "a.png")
    assert scores["damage_precision"] > 0.5 and scores["damage_recall"] > 0.1
    assert set(scores) == {
        f"{k}_{s}" for k in ("damage", "writing") for s in ("recall", "precision")
    }
    assert images.read(tmp_path / "a.png").pixels.std() > 1


def test_faults_do_not_follow_from_the_photo(photos: Path, tmp_path: Path) -> None:
    """What chooses a crop chooses nothing of what is drawn over it."""
    goal = goal_of(small("damage", grey=0.0))
    data = goal.photos(photos, tmp_path)
    grey, first = [], []
    for step in range(40):
        (x, _, _) = next(goal.batches(data, step, range(2), False))
        grey += (x[:, 0] == x[:, 1]).flatten(1).all(1).tolist()
        first += [np.random.default_rng((0, step, index)).random() < 0.55 for index in range(2)]
    agree = np.mean(np.array(grey) == np.array(first))
    assert 0.3 < agree < 0.7, "the number that chooses the photo would choose its colours"


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
    with pytest.raises(RestorekitError, match="real, jitter: no setting of the objective damage"):
        goal_of(small("damage", jitter=0.5, real=0.1))
    with pytest.raises(RestorekitError, match="--init photo: no file and no run; damage takes"):
        goal.begin_with(goal.network(), "photo")


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
    """On a flat crop, whatever grain and JPEG come last."""
    grey = np.full((96, 96, 3), 128, np.uint8)
    written, judged = 0, 0
    for seed in range(30):
        shown = damaged(grey, np.random.default_rng(seed), Library(), share=1.0, written=0.5)
        outside = ~shown.there.any(0) & shown.sure.all(0)
        inside = shown.there[0] & shown.sure[0]
        if outside.sum() > 500 and inside.sum() > 100:
            level = np.median(shown.picture[outside].astype(float), axis=0)
            away = np.abs(shown.picture.astype(float) - level).max(2)
            assert np.median(away[inside]) > np.median(away[outside])
            judged += 1
        written += shown.there[1].any()
        assert not (shown.there[1] & inside).any(), "under ink nobody knows"
    assert judged > 12 and 8 < written < 22
    plain = damaged(grey, np.random.default_rng(0), Library(), share=0.0, written=0.0)
    assert not plain.there.any() and plain.sure.all()


def test_real_marks_are_read_checked_and_remembered(photos: Path, tmp_path: Path) -> None:
    """Outlines and layers of any depth; a run goes on with those it began with, and no others."""
    marks = tmp_path / "marks"
    (marks / "scans").mkdir(parents=True)
    (marks / "overlays" / "hair").mkdir(parents=True)
    corners = [{"x": x, "y": y} for x, y in ((0, 0), (9, 0), (9, 9), (0, 9))]
    scan = marks / "scans" / "1.json.gz"
    scan.write_bytes(
        gzip.compress(json.dumps({"1": {"points": corners, "label": "Dust"}}).encode())
    )
    layer = np.zeros((40, 90), np.uint16)
    layer[:, 60:] = 65535
    images.write(
        marks / "overlays" / "hair" / "1.png",
        images.Photo(np.zeros((*layer.shape, 3), np.uint16), alpha=layer),
    )
    found = library(marks)
    assert np.ptp(found.outlines[0], axis=0).tolist() == [9, 9]
    assert found.overlays[0].dtype == np.uint8 and found.overlays[0].max() == 255
    opacities = [KINDS["drawn"][1](np.random.default_rng(seed), 64, found) for seed in range(20)]
    assert 0 < np.mean(opacities) < 1 and max(o.max() for o in opacities) <= 1
    train(small("damage", steps=2), photos, tmp_path / "run", marks=marks)
    with pytest.raises(RestorekitError, match="the run draws with other marks"):
        train(small("damage", steps=2), photos, tmp_path / "run")
    assert "--marks MARKS" in (tmp_path / "run" / "damage.md").read_text()
    scan.write_bytes(gzip.compress(b'{"1": {"points": [1, 2]}}'))
    with pytest.raises(RestorekitError, match=r"1\.json\.gz"):
        library(marks)
    scan.write_bytes(b"no gzip")
    with pytest.raises(RestorekitError, match=r"1\.json\.gz: cannot be unpacked"):
        library(marks)
    with pytest.raises(RestorekitError, match="holds no marks"):
        library(tmp_path / "nowhere")


def test_handwriting_covers_little_and_never_all() -> None:
    shares = [(writing(np.random.default_rng(seed), 128) > 0.5).mean() for seed in range(20)]
    assert 0.005 < np.mean(shares) < 0.3 and max(shares) < 0.6
