"""Folder runs on a Ray cluster: as on one machine, and robust against the loss of workers."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray
from skimage import data

from restorekit import images
from restorekit.errors import RestorekitError
from restorekit.folder.share import Share, share
from restorekit.images import Photo

from .commands import run, tree

CAT = data.chelsea()
NAMES = ["a.png", "b.jpg", "deep/c.tif", "d -é.webp"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """A cluster of two processors, as an environment that names it; nothing of it stays."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # sockets' paths must be short
    before = set(psutil.Process().children(recursive=True))
    context = ray.init(
        num_cpus=2,
        num_gpus=0,
        _temp_dir=folder,
        include_dashboard=False,
        object_store_memory=80 << 20,
        log_to_driver=False,
        logging_level="error",
    )
    started = set(psutil.Process().children(recursive=True)) - before
    yield {**os.environ, "RAY_ADDRESS": context.address_info["gcs_address"], "OMP_NUM_THREADS": "1"}
    ray.shutdown()
    _, alive = psutil.wait_procs(started, timeout=10)
    shutil.rmtree(folder, ignore_errors=True)
    assert not alive


@pytest.fixture(autouse=True)
def photos(here: Path) -> None:
    """Each test works in its own folder, with a few photos in `in`."""
    for i, name in enumerate(NAMES):
        images.write(Path("in") / name, Photo(CAT[9 * i : 9 * i + 32, : 40 + i]))


def test_the_same_files_by_the_real_command(cluster: dict[str, str]) -> None:
    """A broken photo fails alone, masks are found, and the next run has nothing to do."""
    Path("in/bad.png").write_text("no photo")
    for name in [*NAMES, "bad.png"]:
        mask = np.zeros((32, 40 + (NAMES.index(name) if name in NAMES else 0), 1), np.uint8)
        mask[8:12, 4:30] = 255
        images.write((Path("masks") / name).with_suffix(".png"), Photo(mask))
    command = "inpaint in --mask-dir masks --mode perceptual --steps 2 --samples 2 --report"
    assert run(f"{command} local.jsonl -o local") == 3
    on_cluster = f"{command} ray.jsonl -o ray --engine ray --workers 2"
    done = subprocess.run(
        [sys.executable, "-m", "restorekit", *shlex.split(on_cluster)],
        env=cluster,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert (
        "bad.png: is damaged, or not an image" in done.stderr
        and "0 skipped, 1 failed" in done.stderr
    )
    assert tree("ray") == tree("local") and len(tree("ray")) == 4 * len(NAMES)
    told = [
        {
            row["name"]: (row["input"], row["state"], [p.split("/")[1:] for p in row["outputs"]])
            for row in map(json.loads, Path(report).read_text().splitlines())
        }
        for report in ("local.jsonl", "ray.jsonl")
    ]
    assert told[0] == told[1]
    before = tree("ray")
    assert run(f"{on_cluster} --retry-failed") == 3, "bad.png alone, and it is still broken"
    Path("in/bad.png").unlink()
    assert run(on_cluster) == 0
    states = [json.loads(row)["state"] for row in Path("ray.jsonl").read_text().splitlines()]
    assert states == ["skipped"] * len(NAMES) and tree("ray") == before
    assert [p.name for p in Path("ray/.restorekit").iterdir() if p.is_dir()] == []


def start(cluster: dict[str, str], wanted: int) -> subprocess.Popen[str]:
    """The real command on two workers, when it has written a few more files."""
    process = subprocess.Popen(
        [sys.executable, "-m", "restorekit", *shlex.split(f"{SLOW} --engine ray --workers 2")],
        env=cluster,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(tree("ray")) < wanted:
        assert process.poll() is None
        time.sleep(0.01)
    return process


SLOW = "superres in -o ray --steps 2"


def test_what_is_lost_with_a_run_or_a_worker(
    cluster: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C leaves whole files alone, and the death of a worker costs one photo."""
    for i in range(8):
        images.write(f"in/many/{i:02}.png", Photo(CAT[i : i + 60, : 90 + i]))
    process = start(cluster, 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    done = tree("ray")
    assert len(done) < 8 and [p for p in Path("ray/.restorekit").iterdir() if p.is_dir()] == []
    for name in done:
        images.read(Path("ray") / name)
    process = start(cluster, len(done) + 1)
    workers = [p for p in psutil.Process().children(recursive=True) if "ray::Wo" in p.name()]
    # The other may still be starting: its death costs no photo.
    max(workers, key=lambda worker: sum(worker.cpu_times()[:2])).kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    lost = re.search(r"in/(.+): its worker died", err)
    assert lost and " skipped, 1 failed" in err
    # It too is there if Ctrl-C came between its name and its record.
    assert tree("ray").keys() | {lost[1]} == tree("in").keys()
    capfd.readouterr()
    assert run(f"{SLOW} --retry-failed") == 0, "here, this time"
    assert len(capfd.readouterr().out.splitlines()) == 1
    assert run(SLOW.replace("ray", "local")) == 0
    assert tree("ray") == tree("local")


def test_workers_that_cannot_start(
    cluster: dict[str, str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restorekit.chain.version", lambda _: "other")
    assert run("denoise in -o out --sigma 9 --engine ray") == 1
    assert "install the same on all machines" in capfd.readouterr().err
    assert run("denoise in -o out --sigma 9 --engine ray --workers 3") == 1
    assert "CPUs for 2 workers" in capfd.readouterr().err
    assert run("denoise in -o out --sigma 9 --engine ray --device cuda") == 1
    assert "GPUs for 0 workers" in capfd.readouterr().err
    assert not tree("out")


def test_what_makes_no_sense_is_refused(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("denoise in -o out --workers 2") == 1
    assert "--workers goes with --engine ray" in capfd.readouterr().err
    assert run("denoise in/a.png -o a.png --engine ray") == 1
    assert "needs a folder" in capfd.readouterr().err
    assert run("denoise in -o out --engine ray --device cuda:1") == 1
    assert "--device cuda" in capfd.readouterr().err
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def missing(**how: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", missing)
    assert run("denoise in -o out --engine ray") == 1
    assert "ray start --head" in capfd.readouterr().err
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run("denoise in -o out --engine ray") == 1
    assert "pip install 'restorekit[ray]'" in capfd.readouterr().err


def test_every_machine_has_its_share() -> None:
    small, large = {"CPU": 2.0}, {"CPU": 16.0}
    cards = {"CPU": 16.0, "GPU": 8.0}
    head = {"memory": 1e9}
    assert share([head, large], "auto", None) == Share(4, 4)
    assert share([small, large], "auto", None) == Share(9, 2)
    assert share([large], "auto", 2) == Share(2, 4)
    assert share([large], "auto", 6) == Share(6, 2), "more workers have less each"
    assert share([head, large, cards], "auto", None) == Share(8, 2, 1)
    assert share([large, cards], "cpu", None) == Share(8, 4)
    for machines, device, wanted in (([head], "auto", None), ([large], "cuda", None)):
        with pytest.raises(RestorekitError, match="start more machines"):
            share(machines, device, wanted)
    with pytest.raises(RestorekitError, match="give --workers 16 at most"):
        share([large], "auto", 17)
