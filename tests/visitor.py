"""The page as its tests visit it: a server, a tab, and what people do there."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from restorekit.testing import installed

from .pages import Server, photo, put, serving
from .thirdparty import restorekit_depixelate as depixelate

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MARKUP = "<img src=x onerror=alert(1)>.png"
LARGE = (4000, 6000)
PATIENCE = 60_000  # milliseconds, on a machine that does much else

UNASKED = itertools.count()

Opens = Callable[[str], "Page"]


@pytest.fixture(scope="module", name="server")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
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


@pytest.fixture(name="opens")
def opening(server: Server, browser: Browser) -> Iterator[Opens]:
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
    """The strokes that the page would send to have the photo restored; nobody works on it."""
    failure = f"unasked {next(UNASKED)}"  # none is taken for the one before
    unasked = json.dumps({"id": "unasked", "state": "failed", "failure": failure})
    page.route("**/api/jobs", lambda route: route.fulfill(body=unasked), times=1)
    with page.expect_request("**/api/jobs") as request:
        page.click("#restore")
    told(page, failure)
    strokes: list[dict[str, Any]] = request.value.post_data_json["steps"][0]["values"]["mask"][
        "strokes"
    ]
    return strokes
