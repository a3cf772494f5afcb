"""The trainer on a handful of photos: what it reads, that it learns, and that it resumes."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from restorekit import images, priors
from restorekit.engine.unet import UNetConfig
from restorekit.errors import RestorekitError
from restorekit.training import settings as training_settings
from restorekit.training.data import Photos
from restorekit.training.settings import Settings
from restorekit.training.trainer import draw_times, train

from .conftest import SAMPLES

TINY = Settings(
    network=UNetConfig(widths=(8, 16), blocks=1),
    crop=32,
    batch=4,
    scales=(1.0, 0.5),
    held_out=0.0,
    steps=6,
    warmup=0,
    precision="float32",
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples, a subfolder, and files that training must pass over."""
    folder = tmp_path_factory.mktemp("photos")
    shutil.copytree(SAMPLES / "photos", folder / "below")
    shutil.copy(folder / "below" / "cat.png", folder / "again.png")
    (folder / "broken.png").write_bytes(b"no picture")
    images.write(folder / "small.png", images.Photo(np.zeros((9, 9, 3), dtype=np.uint8)))
    return folder


def test_unusable_files_are_named_and_passed_over(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        data = Photos(photos, tmp_path, 32, scales=(1.0, 0.5))
    told = "\n".join(caplog.messages)
    assert "broken.png" in told and "small.png" in told and "cat.png" in told
    assert len(data.train) == 3 * 2
    caplog.clear()
    Photos(photos, tmp_path, 32, scales=(1.0, 0.5))
    assert not caplog.messages, "the second time nothing is decoded"
    with pytest.raises(RestorekitError, match="no usable photo"):
        Photos(photos, tmp_path / "other", 5000)


def test_batches_follow_from_their_number(photos: Path, tmp_path: Path) -> None:
    data = Photos(photos, tmp_path, 32, grey=0.5, seed=3)
    again = Photos(photos, tmp_path, 32, grey=0.5, seed=3)
    from_seven = again.batches(7, 4)
    assert torch.equal(data.batch(7, 4), next(from_seven))
    assert torch.equal(data.batch(8, 4), next(from_seven))
    assert not torch.equal(data.batch(7, 4), data.batch(8, 4))
    many = data.batch(0, 64)
    greys = (many[:, 0] == many[:, 1]).flatten(1).all(1).float().mean()
    assert 0.2 < greys < 0.8


def test_noise_levels_are_as_set() -> None:
    from restorekit.engine.schedule import linear

    u = (torch.arange(1000) + 0.5).double() / 1000
    ratio = linear().noise_to_signal(draw_times(TINY, linear(), u))
    low, middle, high = TINY.noise
    assert ratio.min() >= low * 0.99 and ratio.max() <= high * 1.01
    assert (ratio < middle).double().mean() == pytest.approx(TINY.focus, abs=2e-3)
    plain = Settings(noise=())
    assert torch.equal(draw_times(plain, linear(), u), torch.arange(1, 1001).double() / 1000)


class Killed(BaseException):
    """As good as kill -9: nothing catches it."""


def test_killed_and_resumed_is_bit_for_bit_uninterrupted(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(TINY, photos, tmp_path / "whole")
    original = Photos.batches

    def dying(self: Photos, first: int, size: int) -> Iterator[torch.Tensor]:
        for number, batch in enumerate(original(self, first, size), first):
            if number == 4:
                raise Killed
            yield batch

    monkeypatch.setattr(Photos, "batches", dying)
    with pytest.raises(Killed):
        train(TINY, photos, tmp_path / "killed", save_every=0)
    monkeypatch.undo()
    resumed = train(TINY, photos, tmp_path / "killed")
    a, b = (priors.load(p).network.state_dict() for p in (whole, resumed))
    assert all(torch.equal(a[name], b[name]) for name in a)
    with pytest.raises(RestorekitError, match="other settings"):
        train(Settings.from_dict(TINY.as_dict() | {"rate": 1.0}), photos, tmp_path / "killed")


def test_a_minute_of_training_learns_and_gives_a_prior(photos: Path, tmp_path: Path) -> None:
    import restorekit

    longer = Settings.from_dict(TINY.as_dict() | {"steps": 150, "batch": 8, "rate": 3e-3})
    rows: list[dict[str, float]] = []
    written = train(longer, photos, tmp_path, report=rows.append)
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < 0.9 * losses[0]
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == rows
    described = priors.read_metadata(written)
    assert described["steps"] == 150
    assert Settings.from_dict(described["training"]) == longer
    assert (tmp_path / "prior.md").read_text().startswith("# prior")
    clean = images.read(SAMPLES / "photos" / "cat.png").pixels[:64, :64] / 255
    noisy = clean + np.random.default_rng(0).normal(0, 0.2, clean.shape)
    restored = restorekit.restore("denoise", noisy, sigma=0.2, prior=tmp_path)
    assert np.square(restored - clean).mean() < 0.5 * np.square(noisy - clean).mean()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "magic"}, "simple"),
        ({"objective": "hybrid"}, "learned_variance"),
        ({"crop": 33}, "multiple"),
        ({"colour": 1}, "colour"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(RestorekitError, match=message):
        training_settings.read("photo", None, change)


def test_settings_from_preset_file_and_changes(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("batch = 4\nrate = 1e-4\n[network]\nblocks = 3\n")
    changes = training_settings.parse_changes(("rate=2e-4", "network.widths=[8, 8]"))
    read = training_settings.read("photo", file, changes)
    assert (read.batch, read.rate) == (4, 2e-4)
    assert read.network.widths == (8, 8) and read.network.blocks == 3
    with pytest.raises(RestorekitError, match="KEY=VALUE"):
        training_settings.parse_changes(("rate",))
