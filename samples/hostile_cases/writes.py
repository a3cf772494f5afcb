"""Cases for the gate of writing: nothing foreign replaced, nothing of ours lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import numpy as np

from restorekit import images

from . import Case, must, restorekit

FOREIGN = b"somebody else's"


def photos(draw: Random, folder: Path, count: int, side: int = 24) -> dict[str, bytes]:
    """Some photos in folder/in, and their content."""
    source = np.random.default_rng(draw.getrandbits(32))
    for number in range(count):
        pixels = source.integers(0, 256, (side, side + number, 3), dtype=np.uint8)
        images.write(folder / "in" / f"{number}.png", images.Photo(pixels))
    return contents(folder / "in")


def contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and ".restorekit" not in p.parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def targets_that_are_read(draw: Random, folder: Path) -> None:
    """A report, a link to a photo, a hard link: all names of what the run reads."""
    before = photos(draw, folder, 2)
    victim = folder / "in" / f"{draw.randrange(2)}.png"
    name = folder / "other name"
    how = draw.choice(["itself", "link", "hard link", "through .."])
    if how == "link":
        name.symlink_to(victim)
    elif how == "hard link":
        os.link(victim, name)
    else:
        name = victim if how == "itself" else folder / "in" / ".." / "in" / victim.name
    command: list[object] = ["denoise", "in", "-o", "out", "--sigma", 9, "--report", name]
    if draw.random() < 0.5:
        command = ["benchmark", "denoise", "in", "--sigma", 9, "--json", name]
    ended = restorekit(*command)
    must(ended.code in (1, 3), f"{how}: ended with {ended.code}")
    must(contents(folder / "in") == before, f"{how}: an original was written over")


def foreign_files_in_the_output(draw: Random, folder: Path) -> None:
    """What lies where a photo should go stays, unless overwriting was asked for."""
    photos(draw, folder, 3)
    (folder / "out").mkdir()
    target = folder / "out" / f"{draw.randrange(3)}.png"
    kind = draw.choice(["file", "link", "dangling", "folder"])
    if kind == "file":
        target.write_bytes(FOREIGN)
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(folder / ("mine" if kind == "link" else "nowhere"))
    (folder / "mine").write_bytes(FOREIGN)
    exists = draw.choice(["error", "skip", "rename"])
    ended = restorekit("denoise", "in", "-o", "out", "--sigma", 9, "--on-exists", exists)
    must(ended.code in (0, 1, 3), f"{kind}, {exists}: ended with {ended.code}: {ended.err}")
    must((folder / "mine").read_bytes() == FOREIGN, f"{kind}: written through a link")
    if kind == "file":
        must(target.read_bytes() == FOREIGN, f"{exists}: a foreign file was replaced")
    elif kind != "folder":
        must(target.is_symlink(), f"{exists}: a foreign link was replaced")


def killed_while_writing(draw: Random, folder: Path) -> None:
    """Killed at any moment, a foreign file put at a target in between, and run again."""
    before = photos(draw, folder, 8, side=200)
    command = [sys.executable, "-m", "restorekit", "denoise", "in", "-o", "out", "--sigma", "9"]
    command += ["--prior", "photo-fast"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    out, record = folder / "out", folder / "out" / ".restorekit" / "1-of-1.jsonl"
    while process.poll() is None and not record.exists():
        time.sleep(0.005)
    lines = draw.randrange(1, 12)  # rows of the record: amid a photo's writing or between two
    while process.poll() is None and record.read_bytes().count(b"\n") < lines:
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    missing = [n for n in before if not (out / n).exists()]
    put = draw.choice(missing) if missing else None
    if put:
        (out / put).write_bytes(FOREIGN)
    ended = subprocess.run(command, capture_output=True, check=False)
    must(ended.returncode == (3 if put else 0), f"ended with {ended.returncode}: {ended.stderr!r}")
    found = contents(out)
    must(contents(folder / "in") == before, "an original was touched")
    must(sorted(found) == sorted(before), f"there are {sorted(found)}")
    if put:
        must(found.pop(put) == FOREIGN, f"{put}, a foreign file, was replaced")
    for name in found:
        images.read(out / name)


def folders_of_others(draw: Random, folder: Path) -> None:
    """Training takes no folder in which somebody has files of the names that it uses."""
    photos(draw, folder, 3, side=80)
    name = draw.choice(["prior.safetensors", "prior.md", "settings.json", "log.jsonl"])
    (folder / "run").mkdir()
    (folder / "run" / name).write_bytes(FOREIGN)
    ended = restorekit("train", "in", "-o", "run", "--set", "steps=1")
    must(ended.code == 1, f"ended with {ended.code}")
    must((folder / "run" / name).read_bytes() == FOREIGN, f"{name} was replaced")


CASES: list[Case] = [
    targets_that_are_read,
    foreign_files_in_the_output,
    folders_of_others,
    killed_while_writing,
]
