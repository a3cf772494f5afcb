"""The trainer on a handful of photos: what it reads, that it learns, and that it resumes."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from restorekit import cli, images, priors
from restorekit.engine.unet import UNetConfig
from restorekit.errors import RestorekitError
from restorekit.evaluation import bits
from restorekit.training import presets
from restorekit.training.augment import augmented
from restorekit.training.card import as_toml
from restorekit.training.data import Photos
from restorekit.training.export import export
from restorekit.training.muon import orthogonalised
from restorekit.training.run import Run
from restorekit.training.settings import Settings
from restorekit.training.trainer import draw_times, rate_at, train

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
    Photos(photos, tmp_path, 40, scales=(1.0, 0.5), held_out=0.5)
    assert "broken.png" not in caplog.text, "whatever the crops, nothing is decoded twice"
    with pytest.raises(RestorekitError, match="no usable photo"):
        Photos(photos, tmp_path / "other", 5000)


def test_runs_that_start_together_decode_once(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor() as pool, caplog.at_level(logging.WARNING):
        one, other = pool.map(lambda _: Photos(photos, tmp_path, 32), range(2))
    assert one.train == other.train
    assert sum("broken.png" in message for message in caplog.messages) == 1
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".lock", ".pixels"]


def test_a_cache_serves_several_folders_and_a_run_is_no_photo(photos: Path, tmp_path: Path) -> None:
    """Runs side by side keep their pixels; a changed folder is another one."""
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    before = Photos(folder, tmp_path / "cache", 32)
    first = before.batch(0, range(4))
    shutil.copy(SAMPLES / "photos" / "cat.png", folder / "more.png")
    images.write(folder / "more.png", images.Photo(images.read(folder / "more.png").pixels[:99]))
    run = folder / "run"
    shutil.copytree(SAMPLES / "photos", run / "pictures")
    after = Photos(folder, tmp_path / "cache", 32, without=run)
    assert after.count == before.count + 1 and after.key != before.key
    assert torch.equal(first, before.batch(0, range(4)))


def test_batches_follow_from_their_number(photos: Path, tmp_path: Path) -> None:
    data = Photos(photos, tmp_path, 32, grey=0.5, seed=3)
    again = Photos(photos, tmp_path, 32, grey=0.5, seed=3)
    from_seven = again.batches(7, range(4))
    assert torch.equal(data.batch(7, range(4)), next(from_seven))
    assert torch.equal(data.batch(8, range(4)), next(from_seven))
    assert torch.equal(data.batch(8, range(2, 4)), data.batch(8, range(4))[2:])
    assert not torch.equal(data.batch(7, range(4)), data.batch(8, range(4)))
    many = data.batch(0, range(64))
    greys = (many[:, 0] == many[:, 1]).flatten(1).all(1).float().mean()
    assert 0.2 < greys < 0.8


def test_noise_levels_are_as_set() -> None:
    from restorekit.engine.schedule import linear

    many = Settings(batch=1000)
    ratio = linear().noise_to_signal(draw_times(many, linear(), 5))
    lowest, low, high, highest = many.noise
    assert ratio.min() >= lowest * 0.99 and ratio.max() <= highest * 1.01
    rest = (1 - many.focus) * math.log(high / low) / math.log(highest / lowest)
    inside = ((ratio > low) & (ratio < high)).double().mean()
    assert inside == pytest.approx(many.focus + rest, abs=2e-3)
    plain = Settings(batch=1000, noise=())
    assert torch.equal(draw_times(plain, linear(), 5), torch.arange(1, 1001).double() / 1000)


class Killed(BaseException):
    """As good as kill -9: nothing catches it."""


def test_killed_and_resumed_is_bit_for_bit_uninterrupted(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(TINY, photos, tmp_path / "whole")
    original = Photos.batches

    def dying(self: Photos, first: int, share: range, **how: Any) -> Iterator[torch.Tensor]:
        for number, batch in enumerate(original(self, first, share, **how), first):
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
    with pytest.raises(RestorekitError, match=r"other settings \(rate = 0.003\)"):
        train(Settings.from_dict(TINY.as_dict() | {"rate": 1.0}), photos, tmp_path / "killed")


def test_a_minute_of_training_learns_and_gives_a_prior(photos: Path, tmp_path: Path) -> None:
    import restorekit

    longer = Settings.from_dict(TINY.as_dict() | {"steps": 150, "batch": 8, "rate": 3e-3})
    rows: list[dict[str, float]] = []
    written = train(longer, photos, tmp_path, report=rows.append)
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < losses[0] - 0.2, "the logarithm of the error"
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == [row for row in rows if set(row) != {"step", "elapsed", "progress"}]
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
        ({"clip": -1}, "clip"),
        ({"warmup": -1}, "warmup"),
        ({"focus": 1.5}, "focus"),
        ({"held_out": 1.0}, "held_out"),
        ({"noise": [0, 0.03, 0.6, 150]}, "noise"),
        ({"scales": []}, "scales"),
        ({"batch": 16.0}, "batch"),
        ({"ema": "high"}, "ema"),
        ({"network.channels": 1}, "channels"),
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


def test_muon_makes_all_singular_values_alike() -> None:
    """The directions stay; the sizes come near 1, for wide and tall matrices of any scale."""
    source = torch.Generator().manual_seed(0)
    for shape in ((3, 8, 20), (2, 20, 8)):
        given = 1e-3 * torch.randn(shape, generator=source)
        s = torch.linalg.svdvals(orthogonalised(given))
        assert s.min() > 0.6 and s.max() < 1.3
        wanted_u, _, wanted_vh = torch.linalg.svd(given, full_matrices=False)
        turned = orthogonalised(given)
        alone = wanted_u.mT @ turned @ wanted_vh.mT
        torch.testing.assert_close(
            alone, torch.diag_embed(alone.diagonal(dim1=1, dim2=2)), atol=1e-4, rtol=0
        )


def test_a_run_that_blows_up_says_so_and_keeps_its_checkpoint(photos: Path, tmp_path: Path) -> None:
    train(TINY, photos, tmp_path / "run")
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    wild = dataclasses.replace(TINY, rate=1e30)
    Run(tmp_path / "run").begin(wild)
    with pytest.raises(RestorekitError, match="no number"):
        train(wild, photos, tmp_path / "run", minutes=1)
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before


def test_colours_change_alike_for_the_same_seed() -> None:
    x = torch.rand(16, 3, 8, 8) * 2 - 1
    state = torch.get_rng_state()
    once = augmented(x, 0.3, 0.5, seed=1)
    assert torch.equal(torch.get_rng_state(), state), "torch's own generator is left alone"
    assert torch.equal(once, augmented(x, 0.3, 0.5, seed=1))
    assert not torch.equal(once, augmented(x, 0.3, 0.5, seed=2))
    assert once.min() >= -1 and once.max() <= 1 and not torch.equal(once, x)
    half = augmented(x[8:12], 0.3, 0.5, seed=1, batch=16, share=slice(8, 12))
    torch.testing.assert_close(half, once[8:12])  # whoever takes that part of the batch
    shuffled = augmented(x, 0.0, 1.0, seed=1)
    torch.testing.assert_close(shuffled.sort(1).values, x.sort(1).values)


def test_a_batch_in_parts_is_the_same_batch(photos: Path, tmp_path: Path) -> None:
    whole = train(TINY, photos, tmp_path / "whole", cache=tmp_path / "cache")
    parts = Settings.from_dict(TINY.as_dict() | {"accumulate": 2})
    summed = train(parts, photos, tmp_path / "parts", cache=tmp_path / "cache")
    a, b = (priors.load(p).network.state_dict() for p in (whole, summed))
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=2e-3, rtol=1e-2)


def command(run: Path, photos: Path, *more: str) -> list[str]:
    """`train` with TINY's settings, as arguments for Python."""
    run.mkdir(exist_ok=True)
    config = run.with_suffix(".toml")
    config.write_text(as_toml(TINY))
    fixed = ["-m", "restorekit", "train", str(photos), "-o", str(run), "--config", str(config)]
    return [*fixed, "--device", "cpu", *more]


def losses_of(run: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows if "loss" in row]


def test_one_training_at_a_time_works_on_a_run(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = command(run, photos)[2:]
    with Run(run).alone():
        assert cli.main(words) == 1
    assert "another training" in capsys.readouterr().err
    assert not (run / "settings.json").exists()
    assert cli.main(words) == 0


def test_kill_9_and_two_processes_give_the_same_losses(photos: Path, tmp_path: Path) -> None:
    """The command itself: uninterrupted, killed in the middle and resumed; and under torchrun."""
    same = ("--set", "steps=200", "--set", "shuffle=0.5", "--cache", str(tmp_path / "cache"))
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    curves = []
    for several in ([], torchrun):
        whole, killed = (tmp_path / f"{name}-{len(several)}" for name in ("whole", "killed"))
        start = functools.partial(subprocess.run, check=True, env=alone, capture_output=True)
        start([sys.executable, *several, *command(whole, photos, *same)])
        process = subprocess.Popen(
            [sys.executable, *several, *command(killed, photos, *same, "--save-every", "0")],
            env=alone,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not (killed / "log.jsonl").exists() or len(losses_of(killed)) < 2:
            assert process.poll() is None, "done before it could be killed"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (killed / "prior.safetensors").exists()
        start([sys.executable, *several, *command(killed, photos, *same)])
        curves.append(losses_of(whole))
        assert losses_of(killed) == curves[-1]
        a, b = ((run / "prior.safetensors").read_bytes() for run in (whole, killed))
        assert a[-4096:] == b[-4096:]
    for (step, loss), (too, shared) in zip(*curves, strict=True):
        assert step == too and shared == pytest.approx(loss, rel=2e-3)


def test_training_needs_only_torch_numpy_and_image_codecs(photos: Path, tmp_path: Path) -> None:
    """As on a bare GPU machine: everything else that the package uses is hidden."""
    hidden = ("click", "pluggy", "skimage", "kornia", "pywt", "tensorboard")
    code = f"""
import sys
for name in {hidden!r}:
    sys.modules[name] = None
from pathlib import Path
from restorekit.training.presets import read
from restorekit.training.trainer import train
train(read("photo-b", Path({str(tmp_path / "run.toml")!r}), {{}}),
      Path({str(photos)!r}), Path({str(tmp_path / "run")!r}))
"""
    (tmp_path / "run.toml").write_text(as_toml(TINY))
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "run" / "prior.safetensors").exists()


def test_a_run_describes_itself(photos: Path, tmp_path: Path) -> None:
    """Export before the end, the card, the attribution, and the pictures of a validation."""
    (photos / "ATTRIBUTION.tsv").write_text("file\tlicence\tauthor\tsource\na.png\tCC0\tme\there\n")
    train(TINY, photos, tmp_path / "run", name="mine")
    (photos / "ATTRIBUTION.tsv").unlink()
    run = Run(tmp_path / "run")
    card = run.card.read_text()
    assert "1 CC0" in card and (run.folder / "prior-attribution.tsv").exists()
    assert "psnr 25" in card and "bits per dimension" in card
    settings = card[card.index("```toml") + 7 : card.rindex("```")]
    (tmp_path / "again.toml").write_text(settings)
    assert presets.read("photo-s", tmp_path / "again.toml", {}) == TINY
    for picture in run.pictures.iterdir():
        assert images.read(picture).pixels.std() > 1
    run.weights.unlink()
    run.card.unlink()
    assert cli.main(["train", "-o", str(run.folder), "--export"]) == 0
    assert priors.read_metadata(run.weights)["name"] == "mine"
    assert run.card.read_text() == card
    assert cli.main(["train", "-o", str(run.folder), "--export", "--name", "yours"]) == 0
    assert run.card.read_text().startswith("# yours")
    with pytest.raises(RestorekitError, match="train first"):
        export(Run(tmp_path / "none"))


def test_a_wrong_start_can_be_mended(photos: Path, tmp_path: Path) -> None:
    """What is refused before the first step leaves the run free for other settings."""
    other = tmp_path / "other"
    train(dataclasses.replace(TINY, network=UNetConfig(widths=(8, 8))), photos, other)
    run = tmp_path / "run"
    with pytest.raises(RestorekitError, match="network differs"):
        train(TINY, photos, run, init=other / "prior.safetensors")
    table = photos / "ATTRIBUTION.tsv"
    table.write_text("file\tlicense\na.png\tCC0\n")
    try:
        with pytest.raises(RestorekitError, match="names no licences"):
            train(TINY, photos, run)
    finally:
        table.unlink()
    train(dataclasses.replace(TINY, rate=1e-3), photos, run)


def test_a_short_run_warms_up_too() -> None:
    long = Settings(warmup=500)
    rates = [rate_at(long, step, step / 20) for step in range(20)]
    assert max(rates) > 0.9 * long.rate and rates[0] < 0.01 * long.rate
    assert rate_at(long, 9, 1e-4) == pytest.approx(long.rate * 10 / 500, rel=1e-3)


def test_bits_per_dimension_of_a_folder(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command gives few for pictures, the same every time, at the size of the training."""
    noise = tmp_path / "noise"
    noise.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        random = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        images.write(noise / f"{i}.png", images.Photo(random))

    def measured(prior: str, folder: Path, *more: str) -> tuple[float, str]:
        command = ["priors", "bits", prior, str(folder), "--terms", "12", *more]
        assert cli.main(command) == 0
        found, _, told = capsys.readouterr().out.partition(" ")
        return float(found), told

    few, told = measured("photo", SAMPLES / "photos", "--limit", "2")
    assert 1 < few < 6 and "2 pictures" in told
    assert measured("photo", SAMPLES / "photos", "--limit", "2") == (few, told)
    short = train(TINY, photos, tmp_path / "run")
    assert "3 pictures of 32 x 32" in measured(str(short), noise)[1]
    with pytest.raises(RestorekitError, match="holds no picture of at least"):
        bits(priors.shipped()["photo"], noise, terms=12)
