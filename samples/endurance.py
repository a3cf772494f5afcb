"""What becomes of a folder run that meets broken files, kills, shards, a cluster, a full disk.

    python samples/endurance.py WORK failures
    python samples/endurance.py WORK kills --photos 60
    python samples/endurance.py WORK shards --photos 40
    python samples/endurance.py WORK ray --photos 40
    python samples/endurance.py WORK full-disk --disk /mnt/small
    python samples/endurance.py WORK throughput --photos 200 --side 707

Each makes its photos in WORK, runs the command, prints what it found and ends with 1 if that is
not as it should be. `--disk` is a small file system: `mount -t tmpfs -o size=2m tmpfs /mnt/small`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import archive
import torch

from restorekit import loading
from restorekit.folder.manifest import rows_of

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("work", type=Path)
parser.add_argument(
    "what", choices=["failures", "kills", "shards", "ray", "full-disk", "throughput"]
)
parser.add_argument("--photos", type=int, default=300)
parser.add_argument("--side", type=int, default=160)
parser.add_argument("--kills", type=int, default=20)
parser.add_argument("--disk", type=Path)
parser.add_argument("--prior", default="photo")
parser.add_argument("--precision", default="float32")


def command(given: argparse.Namespace, out: Path, *more: str) -> list[str]:
    """Of a denoising run into the folder `out`."""
    run = [sys.executable, "-m", "restorekit", "denoise", str(given.work / "in"), "-o", str(out)]
    run += ["--sigma", "10", "--prior", given.prior, "--precision", given.precision]
    return [*run, *more]


def tree(folder: Path) -> dict[str, bytes]:
    """Every picture of an output folder."""
    files = (p for p in folder.rglob("*") if p.is_file() and ".restorekit" not in p.parts)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def left_over(folder: Path) -> list[str]:
    """Temporary files."""
    return [str(p) for p in folder.rglob("*.part*")]


def failures(given: argparse.Namespace) -> bool:
    """20 broken photos of all: the others are restored, each failure has a reason, exit code 3."""
    broken = archive.make(given.work / "in", given.photos, 20, given.side)
    report = given.work / "report.jsonl"
    ended = subprocess.run(
        command(given, given.work / "out", "--report", str(report), "--quiet"),
        stderr=subprocess.DEVNULL,
    )
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    print(f"exit code {ended.returncode}: {dict(Counter(row['state'] for row in rows))}")
    failed = [row for row in rows if row["state"] == "failed"]
    for row in failed:
        print(f"  {row['reason'].removeprefix(str(given.work / 'in') + '/')}")
    found = {row["name"] for row in failed} == set(broken)
    return ended.returncode == 3 and found and len(tree(given.work / "out")) == len(rows) - 20


def kills(given: argparse.Namespace) -> bool:
    """Killed at random moments and resumed: as if never interrupted, and nothing done twice."""
    archive.make(given.work / "in", given.photos, 0, given.side)
    began = time.monotonic()
    with subprocess.Popen(command(given, given.work / "whole"), stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.readline()
        start = time.monotonic() - began
        run.stdout.read()
    work = time.monotonic() - began - start
    chance = random.Random(0)
    out = given.work / "killed"
    for number in range(given.kills):
        run = subprocess.Popen(
            command(given, out), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if number % 4:  # amid the work, a share of it in all
            assert run.stdout is not None
            run.stdout.readline()
            time.sleep(chance.uniform(0, work / given.kills))
        else:  # at any moment of the start
            time.sleep(chance.uniform(0, start))
        if run.poll() is not None:
            print(f"the run was through after {number} kills; give more --photos")
            return False
        run.kill()
        run.wait()
    subprocess.run(command(given, out, "--quiet"), check=True)
    states = Counter(
        (row["name"], row["state"]) for file in out.rglob("*.jsonl") for row in rows_of(file)
    )
    twice = [name for (name, state), count in states.items() if state == "done" and count > 1]
    begun = sum(count for (_, state), count in states.items() if state == "begun") - given.photos
    same, left = tree(out) == tree(given.work / "whole"), left_over(out)
    print(
        f"{given.kills} kills: trees {'equal' if same else 'DIFFER'}, {len(left)} temporary files"
    )
    print(f"left, {len(twice)} photos finished twice, {begun} begun again")
    return same and not left and not twice and begun <= given.kills


def shards(given: argparse.Namespace) -> bool:
    """Two shards, four shards and one run, several at the same time: equal trees."""
    archive.make(given.work / "in", given.photos, 0, given.side)
    trees = []
    for parts in (1, 2, 4):
        out = given.work / f"of {parts}"
        runs = [
            subprocess.Popen(command(given, out, "--quiet", "--shard", f"{part}/{parts}"))
            for part in range(1, parts + 1)
        ]
        codes = [run.wait() for run in runs]
        trees.append(tree(out))
        print(f"{parts} shards: {len(trees[-1])} photos, exit codes {codes}")
    return trees[0] == trees[1] == trees[2] and len(trees[0]) == given.photos


def ray(given: argparse.Namespace) -> bool:
    """Two workers on a cluster of this machine, and a local run: equal trees."""
    import ray as cluster

    archive.make(given.work / "in", given.photos, 0, given.side)
    subprocess.run(command(given, given.work / "local", "--quiet"), check=True)
    address = cluster.init(num_cpus=2, include_dashboard=False, log_to_driver=False).address_info
    environment = os.environ | {"RAY_ADDRESS": address["gcs_address"]}
    remote = command(given, given.work / "remote", "--quiet", "--engine", "ray", "--workers", "2")
    subprocess.run(remote, check=True, env=environment)
    cluster.shutdown()
    local, remote_tree = tree(given.work / "local"), tree(given.work / "remote")
    print(f"{len(remote_tree)} photos by two workers, equal: {local == remote_tree}")
    return local == remote_tree and len(local) == given.photos


def full_disk(given: argparse.Namespace) -> bool:
    """The disk is full amid a run; space is made; the run goes on."""
    archive.make(given.work / "in", given.photos, 0, given.side)
    out = given.disk / "out"
    first = subprocess.run(command(given, out, "--quiet"), capture_output=True, text=True)
    messages = first.stderr.splitlines()
    print(f"exit code {first.returncode}; {len(tree(out))} photos written; the last messages:")
    print("  " + "\n  ".join(messages[-2:]))
    partial = left_over(out)
    done = tree(out)
    subprocess.run(["mount", "-o", "remount,size=1g", str(given.disk)], check=True)
    second = subprocess.run(command(given, out, "--quiet"), check=False)
    kept = all(tree(out)[name] == data for name, data in done.items())
    print(f"{len(partial)} partial files; after more space exit code {second.returncode}, ", end="")
    print(f"{len(tree(out))} photos, the first ones {'kept' if kept else 'CHANGED'}")
    whole = len(tree(out)) == given.photos and second.returncode == 0
    return first.returncode == 3 and 0 < len(done) < given.photos and not partial and kept and whole


def throughput(given: argparse.Namespace) -> bool:
    """Pixels a second of a folder run, by those of the bare network; in turns."""
    archive.make(given.work / "in", given.photos, 0, given.side)
    found = loading.find_prior(given.prior)
    denoiser = loading.load_prior(found, torch.device("cpu"), given.precision)
    x = torch.rand(1, 3, given.side, given.side) * 2 - 1
    t = denoiser.schedule.time_for(torch.tensor(20 / 255))

    def bare(seconds: float) -> float:
        """Megapixels a second."""
        with torch.inference_mode():
            denoiser(x, t)
            began, evaluations = time.perf_counter(), 0
            while time.perf_counter() - began < seconds:
                denoiser(x, t)
                evaluations += 1
            return evaluations * given.side**2 / 1e6 / (time.perf_counter() - began)

    before = bare(15)
    report = given.work / "report.jsonl"
    times: list[float] = []
    run = command(given, given.work / "out", "--report", str(report), "--on-exists", "overwrite")
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        for _ in process.stdout:  # a line for each photo that is written
            times.append(time.perf_counter())
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    after = bare(15)
    megapixels = sum(row["megapixels"] for row in rows[1:])
    speed = megapixels / (times[-1] - times[0])  # from the first photo on: without the start
    ratio = speed / ((before + after) / 2)
    print(f"folder {speed:.3f} MP/s, bare network {before:.3f} and {after:.3f} MP/s: {ratio:.1%}")
    return ratio >= 0.92


if __name__ == "__main__":
    given = parser.parse_args()
    if given.work.exists():
        parser.error(f"{given.work} exists; name a new folder, which is filled with photos")
    sys.exit(not globals()[given.what.replace("-", "_")](given))
