"""Work that the page asks for, in a real browser: plugins, runs, tabs, samples and folders."""

from __future__ import annotations

import re
from pathlib import Path

from .browser import paint
from .commands import run, tree
from .pages import Server, photo, put, serving
from .visitor import (  # noqa: F401 - fixtures
    LARGE,
    Opens,
    choose,
    hosted,
    opening,
    restore,
    save,
    told,
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
