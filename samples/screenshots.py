"""The screenshots of the documentation, made of the pages themselves, so that they stay true.

python -m samples.screenshots docs/pictures

Needs Playwright (pip install playwright) and Debian's chromium.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page

from restorekit import cli, images
from tests.browser import launched

from . import page_screenshots

PHOTOS = Path(__file__).parent / "photos"
LARGEST = 200_000  # bytes of a screenshot
Shot = Callable[[Page], Any]


def run(command: str) -> None:
    """A command of restorekit, in this process."""
    if code := cli.main(shlex.split(command)):
        raise SystemExit(f"{command}: exit code {code}")


def prepare() -> None:
    """The sample photos, clean and with noise of sigma 25, in the current folder."""
    rng = np.random.default_rng(0)
    for file in sorted(PHOTOS.glob("*.png")):
        clean = images.read(file).pixels
        noisy = (clean + rng.normal(0, 25, clean.shape)).clip(0, 255).round().astype(np.uint8)
        images.write(Path("clean") / file.name, images.Photo(clean))
        images.write(Path("noisy") / file.name, images.Photo(noisy))


def restore() -> None:
    """All that the pages show."""
    fast = "--prior photo-fast --quiet"
    run(f"denoise noisy -o restored --sigma 25 {fast}")
    Path("noisy/torn.jpg").write_bytes(b"no photo")
    cli.main(
        shlex.split(
            "denoise noisy -o samples --mode perceptual --samples 3 --steps 4 --sigma 25 "
            f"{fast} --html run.html"
        )
    )
    Path("noisy/torn.jpg").unlink()
    run("compare noisy restored clean -o folders.html")
    run("compare noisy/cat.png restored/cat.png clean/cat.png -o compare.html")
    run("contact noisy restored -o contact.png --columns 1 --side 200")
    reports = []
    for prior in ("photo-fast", "photo"):
        for sigma in (15, 25, 50):
            reports.append(f"{prior}-{sigma}.json")
            command = f"benchmark denoise clean --sigma {sigma} --prior {prior} --quiet"
            run(f"{command} --json {reports[-1]}")
    run(f"benchmark --compare {' '.join(reports)} -o sweep.html")


def open_viewer(tab: Page) -> None:
    """A photo in its window, with the deviation of its samples over it."""
    tab.locator(".card button").nth(1).click()
    tab.get_by_label("Deviation").fill("0.6")


def zoom(tab: Page) -> None:
    """On the eye."""
    tab.get_by_role("button", name="Zoom in").click(click_count=3)


def nothing(tab: Page) -> None:
    """As it opens."""


SHOTS: list[tuple[str, str, str, Shot]] = [
    ("compare", "compare.html", "light", zoom),
    ("report", "run.html", "light", nothing),
    ("report-photo", "run.html", "dark", open_viewer),
    ("report-charts", "sweep.html", "light", nothing),
]


def shoot(browser: Browser, page: str, scheme: Any, prepared: Shot) -> Image.Image:
    tab = browser.new_page(viewport={"width": 1000, "height": 640}, color_scheme=scheme)
    tab.goto(Path(page).absolute().as_uri())
    prepared(tab)
    tab.wait_for_timeout(300)  # until pictures are decoded
    taken = Image.open(io.BytesIO(tab.screenshot()))
    tab.close()
    return taken.convert("RGB")


def save(picture: Image.Image, path: Path) -> None:
    """As PNG, with as many colours as fit into `LARGEST` bytes."""
    for colours in (256, 128, 64, 32):
        picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < LARGEST:
            return
    raise SystemExit(f"{path}: is larger than {LARGEST} bytes")


def main(folder: Path) -> None:
    """Writes every screenshot into a folder."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work, launched() as browser:
        os.chdir(work)
        prepare()
        restore()
        for name, page, scheme, prepared in SHOTS:
            save(shoot(browser, page, scheme, prepared), folder / f"{name}.png")
        for name, picture in page_screenshots.shots(browser):
            save(picture, folder / f"{name}.png")
        save(Image.open("contact.png").convert("RGB"), folder / "contact.png")
        os.chdir(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures"))
