"""Cases for the gate against silence: less than was asked is never done without a word."""

from __future__ import annotations

import io
import os
import string
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from restorekit import images

from . import Case, must, restorekit
from .writes import contents, photos

SIGMA = ("--sigma", 9)


def variables_of_a_cluster(draw: Random, folder: Path) -> None:
    """Some of torchrun's variables, set by anybody to anything, make no shard."""
    photos(draw, folder, 3)
    names = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"]
    given = {
        name: draw.choice(["0", "1", "7", "-1", "x", "", "1e9"])
        for name in draw.sample(names, draw.randint(1, 4))
    }
    before = dict(os.environ)
    os.environ.update(given)
    try:
        ended = restorekit("denoise", "in", "-o", "out", *SIGMA, "--device", "cpu")
    finally:
        os.environ.clear()
        os.environ.update(before)
    must(ended.code == 0 and len(contents(folder / "out")) == 3, f"{given}: {ended}")


def shards_make_the_whole(draw: Random, folder: Path) -> None:
    """Whatever the number of parts, each photo is in one of them."""
    photos(draw, folder, 5)
    parts = draw.randint(1, 7)
    for part in range(1, parts + 1):
        ended = restorekit("denoise", "in", "-o", "out", *SIGMA, "--shard", f"{part}/{parts}")
        must(ended.code == 0, str(ended))
        must(f"part {part} of {parts}" in ended.err or parts == 1, "a part that is not told")
    must(len(contents(folder / "out")) == 5, f"{parts} parts are not the whole")


def nobody_listens(draw: Random, folder: Path) -> None:
    """A standard output that is closed, full or a broken pipe ends no photo."""
    photos(draw, folder, 3)
    command = [sys.executable, "-m", "restorekit", "denoise", "in", "-o", "out", *map(str, SIGMA)]
    how = draw.choice(["closed", "full", "pipe"])
    if how == "closed":
        done = subprocess.run(["sh", "-c", f"{' '.join(command)} >&-"], capture_output=True)
    elif how == "full" and Path("/dev/full").exists():
        with open("/dev/full", "wb") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)
    else:
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
    must(b"Traceback" not in done.stderr, f"{how}: {done.stderr.decode()}")
    must(len(contents(folder / "out")) == 3, f"{how}: {done}")


def names_of_anything(draw: Random, folder: Path) -> None:
    """Names with control characters, spaces, dashes, or as long as names may be."""
    photos(draw, folder, 1)
    letters = string.printable.replace("/", "") + "\x1b\x07\x9bäö\u202e字"
    length = draw.choice([1, 5, 40, 200, 251])
    name = "".join(draw.choice(letters) for _ in range(length))
    while len(os.fsencode(name + ".png")) > 255:
        name = name[:-1]
    (folder / "in" / "0.png").rename(folder / "in" / f"{name}.png")
    more = ["--samples", 2, "--mode", "perceptual", "--steps", 1] if draw.random() < 0.5 else []
    ended = restorekit("denoise", "in", "-o", "out", *SIGMA, *more)
    shown = ended.out + ended.err
    must(not any(c in shown for c in "\x1b\x07\x9b\u202e"), f"{name!r} steers the terminal")
    made = len(contents(folder / "out"))
    must(ended.code in (0, 3) and (made > 0) == (ended.code == 0), f"{name!r}: {ended}")


def what_a_format_cannot_hold(draw: Random, folder: Path) -> None:
    """Metadata arrives in the output, or a note says what was left out."""
    source = folder / f"in.{draw.choice(['jpg', 'png', 'tif', 'webp'])}"
    target = folder / f"out.{draw.choice(['jpg', 'png', 'tif', 'webp', 'bmp'])}"
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    exif.get_ifd(0x8769)[0x829A] = 0.5
    exif.get_ifd(0x8825)[1] = "N"
    pixels = np.random.default_rng(draw.getrandbits(32)).integers(0, 256, (16, 20, 3), np.uint8)
    found = (("exif", exif.tobytes()), ("text:Comment", b"the beach"))
    images.write(source, images.Photo(pixels, metadata=found))
    held = dict(images.read(source).metadata)
    ended = restorekit("denoise", source, "-o", target, *SIGMA)
    must(ended.code == 0, str(ended))
    after = dict(images.read(target).metadata)
    for key in held:
        must(key in after or "left out" in ended.err, f"{source.suffix} to {target.suffix}: {key}")
    if "exif" in after:
        with Image.open(io.BytesIO(target.read_bytes())) as independent:
            again = independent.getexif()
            must(again.get_ifd(0x8769).get(0x829A) == 0.5, f"{target.suffix}: no exposure")
            must(again.get_ifd(0x8825).get(1) == "N", f"{target.suffix}: no place")


def nothing_to_restore(draw: Random, folder: Path) -> None:
    """Everything in the way, or everything broken: never 0. Everything done: always 0."""
    before = photos(draw, folder, 2)
    how = draw.choice(["in the way", "broken", "done"])
    more: list[object] = []
    if how == "in the way":
        (folder / "out").mkdir()
        for name in before:
            (folder / "out" / name).write_bytes(b"other")
        more = ["--on-exists", draw.choice(["skip", "error"])]
    if how == "broken":
        for name in before:
            (folder / "in" / name).write_bytes(before[name][: draw.randint(0, 60)])
    if how == "done":
        must(restorekit("denoise", "in", "-o", "out", *SIGMA).code == 0, "the first run")
    ended = restorekit("denoise", "in", "-o", "out", *SIGMA, *more)
    must((ended.code == 0) == (how == "done"), f"{how}: {ended}")


CASES: list[Case] = [
    variables_of_a_cluster,
    shards_make_the_whole,
    nobody_listens,
    names_of_anything,
    what_a_format_cannot_hold,
    nothing_to_restore,
]
