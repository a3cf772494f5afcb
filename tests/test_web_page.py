"""The page in a real browser: what people see there, and that files come out as the CLI's do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from restorekit import images

from .browser import paint
from .commands import run, tree
from .pages import Server
from .visitor import (  # noqa: F401 - fixtures
    MARKUP,
    Opens,
    choose,
    hosted,
    opening,
    restore,
    save,
    sent,
    set_to,
    show,
    told,
)

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def test_open_paint_restore_slide_save(server: Server, opens: Opens, tmp_path: Path) -> None:
    """16 bits in and out; with the mask that was painted the CLI writes the very same files."""
    page = opens("a.png")
    choose(page, "inpaint", steps="2", save_mask="yes", prior="photo-fast")
    paint(page, [(30, 30), (60, 40), (70, 30)])
    page.click("#preview")
    page.wait_for_selector("canvas[data-patch]")
    restore(page)
    canvas = page.locator("#canvas")
    half = canvas.screenshot()
    page.locator("#split").press("End")
    page.wait_for_selector("canvas[data-split='100']")
    before = canvas.screenshot()
    page.locator("#split").press("Home")
    page.wait_for_selector("canvas[data-split='0']")
    after = canvas.screenshot()
    assert len({half, before, after}) == 3
    assert save(page) == ["restored/a.png", "restored/a-mask.png"]
    kept = server.folder / "restored"
    mask = images.read(kept / "a-mask.png").pixels[..., 0]
    assert mask[30, 30] and mask[40, 60] and not mask[60:].any()
    command = f"inpaint {server.folder}/a.png -o {tmp_path}/a.png --steps 2 --prior photo-fast"
    assert run(f"{command} --mask {kept}/a-mask.png --save-mask --quiet") == 0
    assert tree(tmp_path) == tree(kept)
    assert images.read(kept / "a.png").pixels.dtype == np.uint16
    assert images.read(kept / "a.png").dpi == images.read(server.folder / "a.png").dpi
    assert save(page) == ["restored/a-1.png", "restored/a-mask-1.png"]  # nothing is overwritten


def test_undo_redo_and_eraser(opens: Opens) -> None:
    page = opens("b.png")
    choose(page, "inpaint")
    paint(page, [(20, 20), (40, 20)])
    page.click("[data-tool=eraser]")
    paint(page, [(30, 20)])
    page.click("[data-tool=lasso]")
    paint(page, [(60, 60), (80, 60), (80, 80)])
    assert [stroke["tool"] for stroke in sent(page)] == ["brush", "eraser", "lasso"]
    page.keyboard.press("Control+z")
    page.click("#undo")
    assert [stroke["tool"] for stroke in sent(page)] == ["brush"]
    page.click("#redo")
    strokes = sent(page)
    assert [stroke["tool"] for stroke in strokes] == ["brush", "eraser"]
    first, last = strokes[0]["points"][0], strokes[0]["points"][-1]
    assert np.allclose(first, (20, 20), atol=0.5) and np.allclose(last, (40, 20), atol=0.5)
    page.click("#clear")
    page.click("#restore")
    told(page, "Paint over what is to be repaired")
    page.click("#undo")
    assert sent(page) == strokes


def test_settings_that_would_not_make_what_is_shown(opens: Opens) -> None:
    """They cannot be saved as if they had; a part that is tried is seen all the same."""
    page = opens("b.png")
    choose(page, "denoise", sigma="loud", prior="photo-fast")
    page.click("#restore")
    told(page, "Invalid value")
    choose(page, "denoise", sigma="40", prior="photo-fast")
    assert page.locator("#status").inner_text() == ""
    restore(page)
    told(page, "Done: ")
    keep, outdated = page.locator("#keep"), page.locator("#outdated")
    assert keep.is_enabled() and not outdated.is_visible()
    set_to(page, "sigma", "5")
    assert keep.is_disabled() and outdated.is_visible()
    page.click("#preview")
    page.wait_for_selector("canvas[data-shows=before][data-patch]")
    assert not outdated.is_visible()  # for it is not seen
    set_to(page, "sigma", "40")
    assert keep.is_enabled() and not outdated.is_visible()
    page.click("#back")
    page.wait_for_selector("canvas[data-shows=after]")


def test_leaving_a_photo_keeps_its_mask_and_its_result(opens: Opens) -> None:
    page = opens("a.png")
    assert not page.locator("#painting-keys").is_visible()
    choose(page, "inpaint", steps="1", prior="photo-fast")
    assert page.locator("#painting-keys").is_visible()
    paint(page, [(30, 30), (50, 30)])
    restore(page)
    show(page, "b.png")
    page.click("#restore")
    told(page, "Paint over")
    show(page, "a.png")
    page.wait_for_selector("canvas[data-shows=after]")
    assert page.locator("#keep").is_enabled()
    page.click("#back")
    assert len(sent(page)) == 1


def test_a_larger_result_is_seen_pixel_by_pixel(opens: Opens) -> None:
    page = opens("b.png")
    choose(page, "superres", scale="2", prior="photo-fast")
    restore(page)
    assert page.locator("#made").inner_text() == "Restored: 256 × 192"  # noqa: RUF001
    page.click("#zoom-one")
    page.locator("#zoom", has_text=re.compile("^100 %$")).wait_for()
    page.wait_for_selector("canvas[data-scale='2']")
    page.hover("#canvas")  # on the line between before and after
    page.wait_for_selector("canvas[style*='ew-resize']")


@pytest.mark.parametrize("width", [1280, 420])
def test_work_can_be_seen_where_it_is_asked_for(opens: Opens, width: int) -> None:
    """Its progress, how to end it, what it says, and what became of the photo."""
    page = opens("b.png")
    page.set_viewport_size({"width": width, "height": 800})
    choose(page, "denoise", mode="perceptual", steps="1000", sigma="50", prior="photo-fast")
    page.click("#restore")
    cancel = page.locator(".job button")
    cancel.wait_for()
    assert in_view(page, ".job button") and in_view(page, "#status") and in_view(page, "#keep")
    cancel.click()
    told(page, "Cancelled")
    choose(page, "denoise", prior="photo-fast")
    restore(page)
    assert told(page, "Done: ") == f"Done: {page.locator('#notes li').first.inner_text()}"
    for seen in ("#canvas", "#notes", "#status", "#keep"):
        assert in_view(page, seen), seen


def in_view(page: Page, selector: str) -> bool:
    """Whether an element is within the window from top to bottom, and nothing lies over it."""
    return bool(
        page.locator(selector).evaluate(
            """element => {
              const { left, top, right, bottom } = element.getBoundingClientRect();
              return [top + 1, (top + bottom) / 2, bottom - 1].every((y) => {
                const over = document.elementFromPoint((left + right) / 2, y);
                return element.contains(over) || over?.contains(element);
              });
            }"""
        )
    )


def focus(page: Page, selector: str) -> Locator:
    """Goes by Tab to what is wanted."""
    wanted = page.locator(selector)
    for _ in range(80):
        if wanted.evaluate("element => element === document.activeElement"):
            return wanted
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached by keyboard")


def test_by_keyboard_alone(server: Server, opens: Opens) -> None:
    page = opens("a.png")
    page.evaluate("document.activeElement.blur()")
    focus(page, ".photo:has-text('b.png')")
    page.keyboard.press("Enter")
    page.wait_for_selector("canvas[data-photo='b.png']")
    focus(page, "select.task")
    page.keyboard.type("inpaint")
    page.locator("#painting").wait_for()
    focus(page, "summary:text-is('Research')")
    page.keyboard.press("Enter")
    for name, value in (("steps", "1"), ("prior", "photo-fast")):
        focus(page, f".step [name={name}]")
        page.keyboard.type(value)
    focus(page, "#restore")
    page.keyboard.press("Shift+Tab")
    page.evaluate("document.querySelector('#gallery button').focus()")
    focus(page, "#canvas")
    for key in (" ", "ArrowRight", "ArrowRight", "ArrowDown", " ", "e", "[", "b"):
        page.keyboard.press(key)
    focus(page, "#restore")
    page.keyboard.press("Enter")
    page.wait_for_selector("canvas[data-shows=after]")
    focus(page, "#split")
    page.keyboard.press("ArrowRight")
    assert page.locator("#split").input_value() == "51"
    focus(page, "#keep")
    page.keyboard.press("Enter")
    assert told(page, "Saved as") == "Saved as restored/b.png"
    before, after = (images.read(server.folder / n).pixels for n in ("b.png", "restored/b.png"))
    changed = (before != after).any(axis=2)
    assert changed.any() and changed.mean() < 0.2


def test_strangers_words_are_words(opens: Opens) -> None:
    page = opens(MARKUP)
    assert page.locator("#status").inner_text() == f"{MARKUP} is open"
    assert "<b onclick=x>bold</b>" in page.locator("#about").inner_text()
    assert page.locator("#gallery img[src='x']").count() == 0
    choose(page, "denoise", sigma="<i>5</i>")
    page.click("#restore")
    assert "<i>5</i>" in told(page, "Invalid value")
