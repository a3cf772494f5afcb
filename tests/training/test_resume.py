"""A run killed, refused, started twice, or shared by processes."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from restorekit import cli, priors
from restorekit.engine.unet import UNetConfig
from restorekit.errors import RestorekitError
from restorekit.files import whole
from restorekit.training import trainer
from restorekit.training.data import Photos
from restorekit.training.run import Checkpoint, Run
from restorekit.training.settings import Settings
from restorekit.training.trainer import train

from .tiny import TINY, command, losses_of


def checkpoint(**changed: Any) -> Checkpoint:
    """Of a network without weights."""
    state: Any = dict.fromkeys(Checkpoint.__required_keys__)
    state |= {"network": {}, "averaged": {}, "optimisers": [], "loss_sum": torch.zeros(())}
    state |= {"step": 1, "elapsed": 1.0, "losses": 0, "name": "", "key": "", "photos": (1, 0)}
    return {**state, **changed}


class Killed(BaseException):
    """As good as kill -9: nothing catches it."""


def test_killed_and_resumed_is_bit_for_bit_uninterrupted(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = train(TINY, photos, tmp_path / "unbroken")
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
    a, b = (priors.load(p).network.state_dict() for p in (unbroken, resumed))
    assert all(torch.equal(a[name], b[name]) for name in a)
    with pytest.raises(RestorekitError, match=r"other settings \(rate = 0.003\)"):
        train(Settings.from_dict(TINY.as_dict() | {"rate": 1.0}), photos, tmp_path / "killed")


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
        unbroken, killed = (tmp_path / f"{name}-{len(several)}" for name in ("unbroken", "killed"))
        start = functools.partial(subprocess.run, check=True, env=alone, capture_output=True)
        start([sys.executable, *several, *command(unbroken, photos, *same)])
        process = subprocess.Popen(
            [sys.executable, *several, *command(killed, photos, *same, "--save-every", "0")],
            env=alone,
            stderr=subprocess.DEVNULL,
        )
        while not (killed / "log.jsonl").exists() or len(losses_of(killed)) < 2:
            assert process.poll() is None, "done before it could be killed"
            time.sleep(0.01)
        # torchrun's workers have sessions of their own, live on without it for a while, and hold
        # the run's lock.
        agent = psutil.Process(process.pid)
        everybody = [agent, *agent.children(recursive=True)]
        for one in everybody:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
        with FileLock(killed / "lock", timeout=60):
            pass
        assert not (killed / "prior.safetensors").exists()
        start([sys.executable, *several, *command(killed, photos, *same)])
        curves.append(losses_of(unbroken))
        assert losses_of(killed) == curves[-1]
        files = [run / "prior.safetensors" for run in (unbroken, killed)]
        a, b = map(load_file, files)
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        told, again = ({**priors.read_metadata(file), "minutes": 0} for file in files)
        assert told == again
    for (step, loss), (too, shared) in zip(*curves, strict=True):
        assert step == too and shared == pytest.approx(loss, rel=2e-3)


def test_a_run_that_blows_up_says_so_and_keeps_its_checkpoint(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(TINY, photos, tmp_path / "run")
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    monkeypatch.setattr(trainer, "rate_at", lambda *_: 1e30)
    wild, run = TINY, Run(tmp_path / "run")
    with pytest.raises(RestorekitError, match="no number"):
        train(wild, photos, run.folder, minutes=1)
    assert run.checkpoint.read_bytes() == before
    good = run.load("cpu")
    with pytest.raises(RestorekitError, match="no number at step 7"):
        train(wild, photos, run.folder, minutes=1, save_every=0)
    kept = run.load("cpu")
    assert kept["step"] == 6, "what the ruinous step began with"
    for name in ("network", "averaged"):
        assert all(torch.equal(kept[name][key], good[name][key]) for key in good[name])
    with pytest.raises(RestorekitError, match="no number at step 1"):
        train(dataclasses.replace(wild, steps=1), photos, tmp_path / "last")
    assert not Run(tmp_path / "last").weights.exists()


def test_a_finished_run_started_again_adds_no_rows(photos: Path, tmp_path: Path) -> None:
    train(TINY, photos, tmp_path)
    log = (tmp_path / "log.jsonl").read_text()
    assert ["loss" in json.loads(line) for line in log.splitlines()] == [True, False]
    rows: list[dict[str, float]] = []
    train(TINY, photos, tmp_path, report=rows.append)
    assert (tmp_path / "log.jsonl").read_text() == log
    assert not [row for row in rows if "loss" in row or "psnr_25" in row]
    # One that was killed before its last rows gets them.
    loss, _ = log.splitlines(keepends=True)
    (tmp_path / "log.jsonl").write_text(loss)
    train(TINY, photos, tmp_path)
    assert (tmp_path / "log.jsonl").read_text() == log


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    whole_state = checkpoint()
    run.save(whole_state)

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RestorekitError, match=r"checkpoint\.pt: cannot be written \(No space"):
        run.save(checkpoint(step=2))
    monkeypatch.undo()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # full amid the file
    try:
        with pytest.raises(RestorekitError, match=r"checkpoint\.pt: cannot be written"):
            run.save(checkpoint(step=2, network={"weight": torch.zeros(10_000)}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run.load("cpu") == whole_state
    assert list(tmp_path.iterdir()) == [run.checkpoint], "nothing is left behind"


def test_what_a_killed_write_left_is_removed(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    pixels = cache / f"{Photos(photos, cache, 32, scales=TINY.scales).key}.pixels"
    left = []
    for path in (pixels, tmp_path / "checkpoint.pt"):
        with contextlib.suppress(Killed), whole(path) as part:
            raise Killed
        part.write_bytes(b"half")  # kill -9 would not have removed it
        left.append(part)
    train(TINY, photos, tmp_path)
    assert not any(part.exists() for part in left)


def test_a_run_where_none_can_be_is_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    words = command(tmp_path / "run", photos)[2:]
    output = words.index("-o") + 1
    in_file = [*words[:output], str(file), *words[output + 1 :]]
    for start in (in_file, [*words, "--cache", str(file)]):
        assert cli.main(start) == 1
        err = capsys.readouterr().err
        assert f"{file}: cannot be made a folder" in err and "choose another" in err
    (tmp_path / "run" / "lock").unlink()
    (tmp_path / "run" / "lock").mkdir()
    assert cli.main(words) == 1
    assert "run/lock: cannot be written" in capsys.readouterr().err
    assert file.read_text() == "not a folder"


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
