"""What a training reads: which photos, which crops, which colours."""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from restorekit import images
from restorekit.engine.schedule import linear
from restorekit.errors import RestorekitError
from restorekit.training import draws
from restorekit.training.augment import augmented
from restorekit.training.data import Photos, to_unit
from restorekit.training.run import Run
from restorekit.training.settings import Settings
from restorekit.training.trainer import train

from ..conftest import SAMPLES
from .tiny import TINY


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
    first = before.batch(0, range(4)).x_0
    shutil.copy(SAMPLES / "photos" / "cat.png", folder / "more.png")
    images.write(folder / "more.png", images.Photo(images.read(folder / "more.png").pixels[:99]))
    run = folder / "run"
    shutil.copytree(SAMPLES / "photos", run / "pictures")
    after = Photos(folder, tmp_path / "cache", 32, without=run)
    assert after.count == before.count + 1 and after.key != before.key
    assert torch.equal(first, before.batch(0, range(4)).x_0)


def test_a_run_around_its_photos_leaves_out_its_own_pictures_alone(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = tmp_path / "project"
    shutil.copytree(photos / "below", project / "photos")
    for data in (project / "photos", project):
        train(TINY, data, project)
        assert Run(project).load("cpu")["photos"][0] == 3
        with caplog.at_level(logging.WARNING):
            train(TINY, data, project)
        assert "not the photos" not in caplog.text, "what it drew is none of them"
        Run(project).checkpoint.unlink()
    assert any((project / "pictures").iterdir())
    with pytest.raises(RestorekitError, match="would draw among them"):
        train(TINY, project / "pictures", project)


def test_batches_follow_from_their_number(photos: Path, tmp_path: Path) -> None:
    data = Photos(photos, tmp_path, 32, grey=0.5, seed=3)
    again = Photos(photos, tmp_path, 32, grey=0.5, seed=3)
    from_seven = again.batches(7, range(4))
    assert torch.equal(data.batch(7, range(4)).x_0, next(from_seven).x_0)
    assert torch.equal(data.batch(8, range(4)).x_0, next(from_seven).x_0)
    assert torch.equal(data.batch(8, range(2, 4)).x_0, data.batch(8, range(4)).x_0[2:])
    assert not torch.equal(data.batch(7, range(4)).x_0, data.batch(8, range(4)).x_0)
    many = data.batch(0, range(64)).x_0
    greys = (many[:, 0] == many[:, 1]).flatten(1).all(1).float().mean()
    assert 0.2 < greys < 0.8


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


def test_photographed_crops_have_faults_and_the_others_none(photos: Path, tmp_path: Path) -> None:
    """The same for the same number; told about what is to be removed, or up to thrice that."""
    data = Photos(photos, tmp_path, 32, real=0.5, faded=0.3)
    once, again = data.batch(3, range(64)), data.batch(3, range(64))
    assert once.faults is not None and again.faults is not None
    assert torch.equal(once.x_0, again.x_0) and torch.equal(once.faults, again.faults)
    some = data.batch(3, range(20, 40))
    assert some.faults is not None and torch.equal(some.faults, once.faults[20:40])
    level = once.faults.square().mean((1, 2, 3)).sqrt()
    assert 0.3 < (level > 0).float().mean() < 0.7

    settings = Settings(batch=64, less=0.0)
    schedule = linear()
    t, eps = draws.times(settings, schedule, 3), draws.noise(settings, once.faults, 3)
    x_0 = to_unit(once.x_0)
    told = draws.told(settings, 3)
    assert told.min() >= 0.9 and told.max() <= 3
    mixed_t, mixed = draws.of_faults(schedule, t, eps, once.faults, told)
    plain = level == 0
    assert torch.equal(mixed_t[plain], t[plain]) and torch.equal(mixed[plain], eps[plain])
    seen = schedule.diffuse(x_0, mixed_t, mixed) / schedule(mixed_t)[0][:, None, None, None]
    torch.testing.assert_close(seen[~plain].float(), (x_0 + once.faults)[~plain], atol=1e-4, rtol=0)
    above = (level > 0.02) & (told * level < 1)
    ratio = schedule.noise_to_signal(mixed_t)
    torch.testing.assert_close(ratio[above].float(), (told * level)[above], rtol=1e-3, atol=0)


def test_crops_with_less_noise_than_told() -> None:
    settings = Settings(batch=1000, less=0.4)
    share = draws.shares(settings, 1, 24)
    assert share.shape == (1000, 1, 24, 24) and share.min() >= 0 and share.max() == 1
    least, most = share.flatten(1).aminmax(dim=1)
    assert 0.5 < (least == 1).float().mean() < 0.7
    assert 0.03 < (most == 0).float().mean() < 0.13
    parted = least < most  # by a line, sharply or softly, from any side
    assert 0.08 < parted.float().mean() < 0.2
    left, right = share[parted, 0].mean(1).unflatten(1, (2, 12)).mean(2).unbind(1)
    assert 0.3 < (left < right).float().mean() < 0.7
    eps = draws.noise(settings, torch.zeros(1, 3, 24, 24), 1)
    found, wanted = (x.square().mean((1, 2, 3)).sqrt() for x in (eps, share))
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0.1)
    assert (draws.shares(Settings(batch=1000), 1, 8) == 1).all()
