"""A run killed, refused, started twice, or shared by processes."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from restorekit import cli, priors
from restorekit.engine.unet import UNetConfig
from restorekit.errors import RestorekitError
from restorekit.training.data import Photos
from restorekit.training.run import Run
from restorekit.training.settings import Settings
from restorekit.training.trainer import train

from .tiny import TINY, command, losses_of


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


def test_a_run_that_blows_up_says_so_and_keeps_its_checkpoint(photos: Path, tmp_path: Path) -> None:
    train(TINY, photos, tmp_path / "run")
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    wild = dataclasses.replace(TINY, rate=1e30)
    Run(tmp_path / "run").begin(wild)
    with pytest.raises(RestorekitError, match="no number"):
        train(wild, photos, tmp_path / "run", minutes=1)
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before


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
