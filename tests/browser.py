"""A real browser, Debian's Chromium through Playwright, and how a hand paints in it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Debian's Chromium, or whichever RESTOREKIT_CHROMIUM names.

    Raises:
        LookupError: where it or Playwright is not installed.
    """
    chromium = os.environ.get("RESTOREKIT_CHROMIUM") or shutil.which("chromium")
    if chromium is None or find_spec("playwright") is None:
        raise LookupError("no chromium, or no playwright, is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


def paint(page: Page, points: Sequence[tuple[float, float]]) -> None:
    """Draws through places of the photo that `restorekit web` shows, in its own pixels."""
    canvas = page.locator("#canvas")
    box = canvas.bounding_box()
    assert box is not None
    scale, left, top = (
        float(canvas.get_attribute(f"data-{name}") or 0) for name in ("scale", "left", "top")
    )
    for number, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + (x - left) * scale, box["y"] + (y - top) * scale, steps=4)
        if number == 0:
            page.mouse.down()
    page.mouse.up()
