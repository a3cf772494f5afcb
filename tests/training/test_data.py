"""What a training reads: which photos, which crops, which colours."""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from restorekit import images
from restorekit.errors import RestorekitError
from restorekit.training.augment import augmented
from restorekit.training.data import Photos
from restorekit.training.run import Run
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
    first = before.batch(0, range(4))
    shutil.copy(SAMPLES / "photos" / "cat.png", folder / "more.png")
    images.write(folder / "more.png", images.Photo(images.read(folder / "more.png").pixels[:99]))
    run = folder / "run"
    shutil.copytree(SAMPLES / "photos", run / "pictures")
    after = Photos(folder, tmp_path / "cache", 32, without=run)
    assert after.count == before.count + 1 and after.key != before.key
    assert torch.equal(first, before.batch(0, range(4)))


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
    assert torch.equal(data.batch(7, range(4)), next(from_seven))
    assert torch.equal(data.batch(8, range(4)), next(from_seven))
    assert torch.equal(data.batch(8, range(2, 4)), data.batch(8, range(4))[2:])
    assert not torch.equal(data.batch(7, range(4)), data.batch(8, range(4)))
    many = data.batch(0, range(64))
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
