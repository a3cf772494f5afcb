"""Pages in a real browser: how they open, and that mouse and keyboard reach all that is there."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from restorekit import report
from restorekit.report.photos import Gallery, Shown

PHOTOS = 300
CAT = data.chelsea()


@pytest.fixture(scope="module")
def page_of_many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred photos as a folder run shows them, each as large as its share."""
    rng = np.random.default_rng(0)
    clean = cv2.resize(CAT, (1500, 1000), interpolation=cv2.INTER_CUBIC)
    noisy = (clean + rng.normal(0, 15, clean.shape)).clip(0, 255).astype(np.uint8)
    gallery = Gallery(PHOTOS)
    gallery.add("one", {"before": Shown(noisy), "after": Shown(clean), "deviation": Shown(noisy)})
    entries = [
        dataclasses.replace(
            gallery.entries[0],
            name=f"IMG_{number:04}.jpg",
            figures={"change": float(rng.uniform(0, 20)), "seconds": float(rng.uniform(1, 9))},
            notes=("dusty",) if number == 7 else (),
        )
        for number in range(PHOTOS)
    ]
    path = tmp_path_factory.mktemp("page") / "run.html"
    report.save_page(path, report.Page("denoise: out", entries))
    return path


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A tab; what it asks of any network, or says on its console, is wrong."""
    wrong: list[str] = []
    opened = browser.new_page(viewport={"width": 1200, "height": 800})
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "request",
        lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url),
    )
    yield opened
    opened.close()
    assert not wrong


def test_three_hundred_photos(tab: Any, page_of_many: Path) -> None:
    assert page_of_many.stat().st_size < 50e6
    began = time.perf_counter()
    tab.goto(page_of_many.as_uri())
    assert tab.locator(".card").count() == PHOTOS
    print(f"{page_of_many.stat().st_size / 1e6:.1f} MB in {time.perf_counter() - began:.2f} s")
    tab.get_by_label("Sort by").select_option(label="change, highest first")
    changes = tab.eval_on_selector_all(
        ".card", "cards => cards.map((card) => JSON.parse(card.dataset.figures).change)"
    )
    assert changes == sorted(changes, reverse=True)
    tab.get_by_label("Find").fill("dusty")
    assert tab.locator(".card:visible").count() == 1
    assert tab.get_by_role("status").first.text_content() == "1 shown, by change, highest first"


def places(tab: Any) -> list[dict[str, float]]:
    """Where the pictures are that are to be seen, each from its own pane."""
    found: list[dict[str, float]] = tab.evaluate(
        """() => [...document.querySelectorAll(".pc-pane:not([hidden])")]
            .filter((pane) => pane.clientWidth)
            .map((pane) => {
              const [box, inside] = [pane, pane.querySelector("img")]
                .map((element) => element.getBoundingClientRect());
              return { x: inside.x - box.x, y: inside.y - box.y, width: inside.width };
            })"""
    )
    return found


def test_zoom_and_pan_are_locked(tab: Any, page_of_many: Path) -> None:
    tab.goto(page_of_many.as_uri())
    tab.locator(".card button").first.click()
    tab.get_by_role("button", name="Side by side").click()
    fitted = places(tab)
    tab.get_by_role("button", name="Zoom in").click()
    tab.mouse.move(300, 400)
    tab.mouse.wheel(0, -300)
    tab.mouse.down()
    tab.mouse.move(360, 430)
    tab.mouse.up()
    before, after = places(tab)
    assert before == pytest.approx(after, abs=0.1)
    assert before["width"] == pytest.approx(fitted[0]["width"] * 1.25**2, rel=0.01)
    tab.get_by_role("button", name="Difference").click()
    assert len(places(tab)) == 1
    assert tab.locator("[data-part=difference] img").evaluate(
        "img => getComputedStyle(img).filter"
    ) == "brightness(2)"  # fmt: skip
    tab.get_by_role("button", name="Slider").click()
    tab.get_by_label("Deviation").fill("0.5")
    assert len(places(tab)) == 3


def test_by_keyboard_alone(tab: Any, page_of_many: Path) -> None:
    tab.goto(page_of_many.as_uri())
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")  # the link to the photos
    for _ in range(3):
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert tab.get_by_role("dialog", name="IMG_0000.jpg").is_visible()
    tab.keyboard.press("PageDown")
    assert tab.get_by_role("dialog", name="IMG_0001.jpg").is_visible()
    split = tab.get_by_label("How much of the left picture")
    exact = tab.locator(".pc-left img").evaluate("img => img.clientWidth / img.naturalWidth")
    zoom = tab.locator(".pc-zoom")
    assert zoom.text_content() == f"{100 * exact:.0f} %"
    while not tab.evaluate("document.activeElement.classList.contains('pc-stage')"):
        tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowRight")
    assert split.input_value() == "52"
    tab.keyboard.press("+")
    tab.keyboard.press("ArrowRight")
    assert split.input_value() == "52" and zoom.text_content() == f"{125 * exact:.0f} %"
    tab.keyboard.press("1")  # a photo that is smaller than the window
    assert exact > 1 and zoom.text_content() == "100 %"
    tab.keyboard.down("b")
    clip = tab.locator(".pc-left").evaluate("pane => getComputedStyle(pane).clipPath")
    tab.keyboard.up("b")
    assert clip == "inset(0px 0% 0px 0px)"
    tab.keyboard.press("Escape")
    tab.locator(".card[data-name='IMG_0001.jpg']:focus-within").wait_for()  # given back at once


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read(browser: Any, page_of_many: Path, scheme: str) -> None:
    """Contrast of at least 4.5 to 1, as WCAG's AA has it."""
    tab = browser.new_page(color_scheme=scheme)
    tab.goto(page_of_many.as_uri())
    colours = tab.evaluate(
        """() => ["--ink", "--soft", "--accent", "--warn", "--paper", "--card"].map((name) =>
            getComputedStyle(document.documentElement).getPropertyValue(name))"""
    )
    tab.close()
    *inks, paper, card = [luminance(colour.strip()) for colour in colours]
    for ink in inks:
        for ground in (paper, card):
            assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Relative, of #rgb or #rrggbb."""
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
