"""The screenshots of `restorekit web`, for screenshots.py."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
from PIL import Image
from playwright.sync_api import Browser, Page

from restorekit import images
from tests.browser import paint

SCRATCHES = [[(60, 20), (80, 90), (70, 140)], [(150, 60), (190, 75), (236, 66)]]


def prepare(folder: Path) -> None:
    """Two noisy photos, and one with scratches."""
    for name in ("astronaut.png", "coffee.png"):
        images.write(folder / name, images.read(Path("noisy") / name))
    scratched = images.read("clean/cat.png").pixels.copy()
    for line in SCRATCHES:
        for start, end in pairwise(line):
            cv2.line(scratched, start, end, (250, 245, 235), 2, cv2.LINE_AA)
    images.write(folder / "cat.png", images.Photo(scratched))


def taken(tab: Page) -> Image.Image:
    return Image.open(io.BytesIO(tab.screenshot())).convert("RGB")


def shots(browser: Browser) -> Iterator[tuple[str, Image.Image]]:
    """Names and pictures: a mask that is painted, and what became of the photo."""
    prepare(Path("web"))
    command = [sys.executable, "-m", "restorekit", "web", "web", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        for name, scheme in (("web", "light"), ("web-compare", "dark")):
            how: dict[str, Any] = {"color_scheme": scheme}
            tab = browser.new_page(viewport={"width": 1280, "height": 760}, **how)
            tab.set_default_timeout(300_000)
            tab.goto(f"{address}#cat.png")
            tab.wait_for_selector("canvas[data-photo='cat.png']")
            tab.select_option("select.task", "inpaint")
            for line in SCRATCHES:
                paint(tab, line)
            if name == "web-compare":
                tab.click("#restore")
                tab.wait_for_selector("canvas[data-shows=after]")
                tab.locator("#status", has_text="Done").wait_for()
            tab.wait_for_load_state("networkidle")  # with all thumbnails
            yield name, taken(tab)
            tab.close()
        server.terminate()
