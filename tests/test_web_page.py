"""The page in a real browser: what people do there, and that files come out as the CLI's do."""

from __future__ import annotations

import json
import re
import shutil
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from restorekit import images
from restorekit.testing import installed

from .browser import paint
from .commands import run, tree
from .pages import Server, photo, put, serving
from .thirdparty import restorekit_depixelate as depixelate

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

MARKUP = "<img src=x onerror=alert(1)>.png"
LARGE = (4000, 6000)
PATIENCE = 60_000  # milliseconds, on a machine that does much else

Opens = Callable[[str], "Page"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("web") / "photos"
    put(folder / "a.png", photo(dtype=np.uint16), dpi=(300, 300), metadata=(("text:Title", b"A"),))
    put(folder / "b.png", photo(seed=1))
    put(folder / MARKUP, photo((64, 64)), metadata=(("text:Comment", b"<b onclick=x>bold</b>"),))
    large = cv2.resize(photo((40, 60)), LARGE[::-1], interpolation=cv2.INTER_LINEAR)
    put(folder / "large.jpg", large)
    module = types.ModuleType("mosaics")
    module.restorekit_tasks = depixelate.restorekit_tasks  # type: ignore[attr-defined]
    with installed(module), serving(folder) as started:
        yield started


@pytest.fixture
def opens(server: Server, browser: Browser) -> Iterator[Opens]:
    """Opens a photo in a tab; at the end nothing was wrong, and nothing asked of other machines."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(PATIENCE)
    own = f"http://127.0.0.1:{server.port}/"

    def heard(request: Any) -> None:
        if not request.url.startswith((own, f"blob:{own}")):
            wrong.append(request.url)

    context.on("request", heard)
    context.on("weberror", lambda error: wrong.append(str(error.error)))
    context.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    context.on("dialog", lambda dialog: wrong.append(dialog.message))

    def opened(name: str) -> Page:
        page = context.new_page()
        page.goto(f"{server.address}#{quote(name)}")
        page.wait_for_selector(f"canvas[data-photo={json.dumps(name)}]")
        return page

    yield opened
    context.close()
    assert wrong == []
    shutil.rmtree(server.folder / "restored", ignore_errors=True)


def choose(page: Page, task: str, **values: str) -> None:
    """A task, and its options; headings are opened to reach them."""
    page.select_option("select.task", task)
    closed = page.locator(".step details:not([open]) > summary")
    while closed.count():
        closed.first.click()
    for name, value in values.items():
        field = page.locator(f".step [name={name}]")
        if field.get_attribute("type") == "checkbox":
            field.check()
        elif field.evaluate("element => element.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
            field.blur()


def set_to(page: Page, name: str, value: str) -> None:
    """Changes one option, whose heading is open."""
    field = page.locator(f".step [name={name}]")
    field.fill(value)
    field.blur()


def show(page: Page, name: str) -> None:
    """Opens another photo."""
    page.click(f".photo:has-text({json.dumps(name)})")
    page.wait_for_selector(f"canvas[data-photo={json.dumps(name)}]")


def restore(page: Page) -> None:
    page.click("#restore")
    page.wait_for_selector("canvas[data-shows=after]")


def save(page: Page) -> list[str]:
    """Saves what is shown; under which names."""
    page.click("#keep")
    return told(page, "Saved as ").removeprefix("Saved as ").split(", ")


def told(page: Page, start: str) -> str:
    status = page.locator("#status", has_text=re.compile(f"^{re.escape(start)}"))
    status.wait_for()
    return status.inner_text()


def sent(page: Page) -> list[dict[str, Any]]:
    """The strokes that the page would send to have the photo restored."""
    with page.expect_request("**/api/jobs") as request:
        page.click("#restore")
    page.locator(".job button").click()
    told(page, "Cancelled")
    strokes: list[dict[str, Any]] = request.value.post_data_json["steps"][0]["values"]["mask"][
        "strokes"
    ]
    return strokes


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


def test_a_plugin_s_task_and_its_option(server: Server, opens: Opens, tmp_path: Path) -> None:
    page = opens("b.png")
    choose(page, "depixelate", block="8", prior="photo-fast")
    step = page.locator(".step")
    assert "Turn a mosaic back into a photo." in step.inner_text()
    assert "Squares' side." in step.inner_text()
    restore(page)
    save(page)
    command = f"depixelate {server.folder}/b.png -o {tmp_path}/b.png --block 8 --prior photo-fast"
    assert run(command) == 0
    assert tree(tmp_path) == tree(server.folder / "restored")
    choose(page, "depixelate", block="1")
    page.click("#restore")
    assert "block" in told(page, "Invalid value")


def test_cancel_amid_a_run(server: Server, opens: Opens) -> None:
    """After at least one evaluation of a thousand; the next photo does not wait for the rest."""
    page = opens("b.png")
    choose(page, "denoise", mode="perceptual", steps="1000", sigma="50", prior="photo-fast")
    page.click("#restore")
    page.locator(".job", has_text=re.compile(r"[1-9]\d* of 1000 steps")).wait_for()
    page.locator(".job button").click()
    told(page, "Cancelled")
    assert page.locator("#keep").is_disabled()
    choose(page, "denoise", sigma="50", mode="fidelity", prior="photo-fast")
    restore(page)
    assert not (server.folder / "restored").exists()


def test_a_preview_does_not_wait_for_a_run(opens: Opens) -> None:
    """Nor for a run of another tab: it is done in between, and the run goes on."""
    busy, page = opens("b.png"), opens("a.png")
    choose(busy, "denoise", mode="perceptual", steps="1000", sigma="50", prior="photo-fast")
    busy.click("#restore")
    busy.locator(".job", has_text=re.compile(r"[1-9]\d* of 1000 steps")).wait_for()
    choose(page, "denoise", sigma="20", prior="photo-fast")
    page.click("#preview")
    page.wait_for_selector("canvas[data-patch]")
    assert busy.locator(".job").count() == 1
    busy.locator(".job button").click()
    told(busy, "Cancelled")


def test_24_megapixels_open_and_are_painted_on(server: Server, opens: Opens) -> None:
    page = opens("large.jpg")
    assert "24.0 megapixels" in page.locator("#about").inner_text()
    choose(page, "inpaint", steps="1", prior="photo-fast")
    page.click("#zoom-one")
    page.locator("#zoom", has_text="100 %").wait_for()
    for _ in range(9):  # so that little is seen, and tried
        page.click("#zoom-in")
    x, y = LARGE[1] / 2, LARGE[0] / 2
    paint(page, [(x - 20, y), (x + 20, y)])
    page.click("#preview")
    page.wait_for_selector("canvas[data-patch]")
    job = page.locator("#canvas").get_attribute("data-patch")
    left, top, width, height = server.json(f"/api/jobs/{job}")["result"]["box"]
    assert left < x < left + width and top < y < top + height and width < 128


def test_two_tabs_at_once(server: Server, opens: Opens, tmp_path: Path) -> None:
    """Each restores its own photo with its own options, and saves that."""
    tabs = {"a.png": opens("a.png"), "b.png": opens("b.png")}
    levels = {"a.png": "20", "b.png": "40"}
    for name, page in tabs.items():
        choose(page, "denoise", sigma=levels[name], prior="photo-fast")
        page.click("#restore")
    for page in tabs.values():
        page.wait_for_selector("canvas[data-shows=after]")
    for name, page in tabs.items():
        assert save(page) == [f"restored/{name}"]
        source, target = server.folder / name, tmp_path / name
        assert run(f"denoise {source} -o {target} --sigma {levels[name]} --prior photo-fast") == 0
    assert tree(tmp_path) == tree(server.folder / "restored")


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


def test_samples_and_the_one_that_is_kept(server: Server, opens: Opens, tmp_path: Path) -> None:
    page = opens("b.png")
    choose(page, "denoise", mode="perceptual", sigma="40", steps="2", prior="photo-fast")
    choose(page, "denoise", samples="2", mode="perceptual", sigma="40", steps="2")
    page.locator(".step [name=prior]").fill("photo-fast")
    restore(page)
    shown = page.locator(".sample").all_inner_texts()
    assert shown == ["sample 1", "sample 2", "their mean", "where they differ"]
    page.locator(".sample", has_text="sample 2").click()
    assert save(page) == ["restored/b.png"]
    command = f"denoise {server.folder}/b.png -o {tmp_path}/b.png --samples 2 --sigma 40 --steps 2"
    assert run(f"{command} --prior photo-fast --quiet") == 0
    kept = (server.folder / "restored" / "b.png").read_bytes()
    assert kept == (tmp_path / "b-2.png").read_bytes() != (tmp_path / "b-1.png").read_bytes()


def test_the_whole_folder(server: Server, opens: Opens, tmp_path: Path) -> None:
    """As the command line restores it; run again, there is nothing left to do."""
    few = tmp_path / "few"
    put(few / "a.png", photo((32, 40)))
    put(few / "sub" / "b.jpg", photo((32, 40), seed=1))
    values = {"sigma": "20", "prior": "photo-fast"}
    with serving(few) as here:
        body = here.asked("", "denoise", **values)
        done = here.finished(here.json("/api/folder", body))["result"]
        assert (done["restored"], done["skipped"], done["failures"]) == (2, 0, [])
        assert here.json("/api/photos")["photos"] == ["a.png", "sub/b.jpg"]  # and no results
        assert here.finished(here.json("/api/folder", body))["result"]["skipped"] == 2
    assert run(f"denoise {few} -o {tmp_path}/cli --sigma 20 --prior photo-fast --quiet") == 0
    assert tree(few / "restored") == tree(tmp_path / "cli")
    page = opens("b.png")
    choose(page, "inpaint")
    paint(page, [(20, 20)])
    page.click("#folder-run")
    assert "under “mask”: auto" in told(page, "A mask is painted for one photo")
    assert not page.locator("#sure").is_visible()


def test_strangers_words_are_words(opens: Opens) -> None:
    page = opens(MARKUP)
    assert page.locator("#status").inner_text() == f"{MARKUP} is open"
    assert "<b onclick=x>bold</b>" in page.locator("#about").inner_text()
    assert page.locator("#gallery img[src='x']").count() == 0
    choose(page, "denoise", sigma="<i>5</i>")
    page.click("#restore")
    assert "<i>5</i>" in told(page, "Invalid value")
