"""A folder of generated photos of all formats, some of them broken, each in its own way.

    python samples/archive.py FOLDER --photos 300 --broken 20 --side 160

`endurance.py` runs restorekit over such folders.
"""

from __future__ import annotations

import argparse
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

SUFFIXES = ["png", "jpg", "tif", "webp", "bmp", "avif"]
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path)
parser.add_argument("--photos", type=int, default=300)
parser.add_argument("--broken", type=int, default=20)
parser.add_argument("--side", type=int, default=160)


def picture(number: int, height: int, width: int) -> np.ndarray:
    """Waves and disks with noise of sigma 10, (H, W, 3) uint8; another one for each number."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:height, :width] / max(height, width)
    pixels = 0.5 + 0.2 * np.sin(x[..., None] * rng.uniform(5, 30, 3) + y[..., None] * 9)
    for _ in range(6):
        inside = np.hypot(y - rng.random(), x - rng.random()) < rng.uniform(0.05, 0.2)
        pixels[inside] = rng.random(3)
    pixels += 10 / 255 * rng.standard_normal(pixels.shape)
    return np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)


def write(path: Path, number: int, side: int) -> None:
    """A sound photo in the format of its suffix; at times grey, deep or with alpha."""
    pixels = picture(number, side + number % 7, side + number % 11)
    kind = path.suffix[1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "tif" and number % 3 == 0:
        deep = pixels.astype(np.uint16) * 257
        tifffile.imwrite(path, deep, photometric="rgb", compression="zlib")
    elif kind == "png" and number % 4 == 0:
        alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
        alpha[: side // 4] = 40
        Image.fromarray(np.dstack([pixels, alpha])).save(path)
    elif number % 5 == 0 and kind != "avif":
        Image.fromarray(pixels[..., 0]).save(path)
    else:
        Image.fromarray(pixels).save(path)


def chunk(name: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    sound = name + data
    return struct.pack(">I", len(data)) + sound + struct.pack(">I", zlib.crc32(sound))


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """Whose header may lie."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def breakers(folder: Path, side: int) -> list[tuple[str, Callable[[Path], object]]]:
    """Suffix and maker of every kind of broken file that we know."""

    def sound(suffix: str) -> bytes:
        path = folder / f"sound.{suffix}"
        Image.fromarray(picture(1, side, side)).save(path)
        data = path.read_bytes()
        path.unlink()
        return data

    def cut(suffix: str, share: float) -> tuple[str, Callable[[Path], object]]:
        data = sound(suffix)
        return suffix, lambda path: path.write_bytes(data[: int(share * len(data))])

    def bent(path: Path) -> object:
        data = bytearray(sound("png"))
        data[len(data) // 2] ^= 0xFF
        return path.write_bytes(data)

    def frames(path: Path) -> object:
        several = [Image.fromarray(picture(n, 40, 40)) for n in range(3)]
        return several[0].save(path, save_all=True, append_images=several[1:])

    def floats(path: Path, value: float) -> object:
        samples = np.full((40, 40, 3), value, np.float32)
        return tifffile.imwrite(path, samples, photometric="rgb")

    ink = np.zeros((40, 40, 4), np.uint16)
    return [
        ("png", lambda path: path.write_bytes(b"")),
        ("jpg", lambda path: path.write_bytes(b"these are not the bytes of a photo")),
        *(cut(suffix, 0.6) for suffix in SUFFIXES),
        cut("png", 0.01),
        cut("jpg", 0.02),
        ("png", bent),
        ("png", lambda path: path.write_bytes(png(50_000, 50_000))),
        ("png", lambda path: path.write_bytes(png(0, 10))),
        ("png", lambda path: path.write_bytes(png(30, 30, b"\0" * 100))),
        ("webp", frames),
        ("tif", frames),
        ("tif", lambda path: floats(path, float("nan"))),
        ("tif", lambda path: floats(path, 7.0)),
        ("tif", lambda path: tifffile.imwrite(path, ink, photometric="separated")),
        ("jpg", lambda path: path.symlink_to("nowhere.jpg")),
        ("bmp", lambda path: path.write_bytes(b"BM" + bytes(60))),
        ("tif", lambda path: path.write_bytes(b"II*\0\xff\xff\xff\xff")),
    ]


def make(folder: Path, photos: int, broken: int, side: int = 160) -> list[str]:
    """Makes the tree; gives the names of the broken ones."""
    names = []
    folder.mkdir(parents=True, exist_ok=True)
    kinds = breakers(folder, side)
    for number in range(photos):
        place = folder / f"album {number % 4}" / f"{number % 3}"
        if number < broken:
            suffix, spoil = kinds[number % len(kinds)]
            path = place / f"broken {number}.{suffix}"
            place.mkdir(parents=True, exist_ok=True)
            spoil(path)
            names.append(path.relative_to(folder).as_posix())
        else:
            write(place / f"photo {number}.{SUFFIXES[number % len(SUFFIXES)]}", number, side)
    return names


if __name__ == "__main__":
    given = parser.parse_args()
    for name in make(given.folder, given.photos, given.broken, given.side):
        print(name)
