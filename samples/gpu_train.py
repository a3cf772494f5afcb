"""Trains all shipped priors on, and what enlarges, one after the other, within minutes of a GPU.

    python samples/gpu_train.py PHOTOS SCENES RUNS --minutes 28 --this-time 9

Each begins with the weights that ship and gets its share of the minutes. What a call leaves
undone the next one goes on with, from the last checkpoint, so that a machine may be lent for a few
minutes at a time: `--this-time` is how long a call trains at most. The .safetensors in RUNS/NAME
has what each has come to, and loses nothing by being fetched early.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

from restorekit.loading import find_device
from restorekit.priors import shipped
from restorekit.training import presets
from restorekit.training.export import export
from restorekit.training.run import Run
from restorekit.training.trainer import train


class Job(NamedTuple):
    """What is to be trained on.

    Attributes:
        preset, changes: its settings.
        share: of the minutes.
    """

    preset: str
    share: float
    changes: dict[str, Any]


GPU = {"compile": True, "batch": 64, "warmup": 100}
FEW_FAULTS = {"real": 0.03, "less": 0.16, "faded": 0.08}
UNFOLDED = {"network.mapped": True, "holes": 0.42, "unfold": 0.75, "objective": "even_v"}
PHOTOGRAPHED = {"real": 0.92, "less": 0.5, "faded": 0.12, "objective": "even_v"}
JOBS = {
    "photo-few": Job("photo-b", 0.3, {"rate": 1.5e-3, **UNFOLDED, **FEW_FAULTS}),
    "photo-real": Job("photo-b", 0.15, {"rate": 1.2e-3, **PHOTOGRAPHED}),
    "photo": Job("photo-b", 0.15, {"rate": 1e-3, **FEW_FAULTS}),
    "photo-fast": Job("photo-s", 0.1, {"rate": 1e-3, **FEW_FAULTS}),
    "scene64": Job("scene64", 0.15, {"rate": 1e-3, "batch": 128}),
    "enlargement": Job("enlargement", 0.1, {}),
    "dequantisation": Job("dequantisation", 0.05, {}),
}
TINY = {"compile": False, "batch": 4, "crop": 48}  # for a dry run

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("photos", type=Path, help="see pack_photos.py")
parser.add_argument("scenes", type=Path, help="pictures of 64 x 64 for scene64")
parser.add_argument("runs", type=Path)
parser.add_argument("--minutes", type=float, default=28.0, help="of all calls")
parser.add_argument("--this-time", type=float, default=9.0, help="minutes of this call")
parser.add_argument("--only", nargs="+", choices=list(JOBS), default=list(JOBS))
parser.add_argument("--device", default="auto")
parser.add_argument("--dry-run", action="store_true", help="20 steps of small batches of each")


def main() -> None:
    """Trains what is not done yet."""
    arguments = parser.parse_args()
    device = str(find_device(arguments.device))
    shares = sum(JOBS[name].share for name in arguments.only)
    deadline = time.monotonic() + 60 * arguments.this_time
    for name in arguments.only:
        job, run = JOBS[name], Run(arguments.runs / name)
        minutes = arguments.minutes * job.share / shares
        changes = {**GPU, **job.changes}
        if arguments.dry_run:
            changes |= TINY | {"steps": 20}
        left = (deadline - time.monotonic()) / 60
        done = run.load("cpu")["elapsed"] / 60 if run.checkpoint.exists() else 0.0
        if left <= 0 or done >= minutes:
            continue
        with run.alone():
            train(
                presets.read(job.preset, None, changes),
                arguments.scenes if job.preset == "scene64" else arguments.photos,
                run.folder,
                device=device,
                init=shipped().get(name, name),
                cache=arguments.runs / "cache",
                minutes=None if arguments.dry_run else minutes,
                pause=left,
                save_every=120,
                validate_every=3600,
                name=name,
            )
            export(run)
        print(f"{name}: {run.load('cpu')['step']} steps", flush=True)


if __name__ == "__main__":
    main()
