"""A page: one file of HTML that opens offline, made by Jinja2 from `templates`."""

from __future__ import annotations

import base64
import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files as resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import __version__, files
from ..errors import RestorekitError
from .charts import Chart
from .photos import Entry

MARK = b"<!doctype html>\n<!-- a page of restorekit -->\n"  # what each begins with
NEEDS = ("jinja2", "matplotlib")


@dataclass(frozen=True)
class Missing:
    """A photo that the page cannot show: failed or skipped, and why."""

    name: str
    state: str
    reason: str
    file: Path | None = None


@dataclass(frozen=True)
class Page:
    """All that is on a page.

    Attributes:
        title: in words.
        entries: the photos.
        missing: those that are not among them.
        summary: pairs of words, as ("restored", "298").
        settings: what decided the pixels, nested as it may be; see `rows_of`.
        charts: of the figures.
        explained: what a figure means, by its name, where that is not plain.
    """

    title: str
    entries: Sequence[Entry] = ()
    missing: Sequence[Missing] = ()
    summary: Sequence[tuple[str, str]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    explained: Mapping[str, str] = field(default_factory=dict)

    @property
    def figures(self) -> list[str]:
        """What the photos can be sorted by, besides their names."""
        return list(dict.fromkeys(name for entry in self.entries for name in entry.figures))


def needed() -> None:
    """Raises RestorekitError where what pages are made with is not installed."""
    if missing := [name for name in NEEDS if find_spec(name) is None]:
        raise RestorekitError(
            f"pages need {' and '.join(missing)}, not installed; pip install 'restorekit[report]'"
        )


def check_page(path: Path, *, overwrite: bool = False, again: bool = False) -> None:
    """Raises what `save_page` would, as far as it can be known before the work.

    Args:
        overwrite: whether whatever file is there gives way.
        again: whether an earlier page of ours does.
    """
    needed()
    if path.suffix.lower() not in (".html", ".htm"):
        raise RestorekitError(f"{path}: a page's name ends in .html; name it so")
    files.check_target(path)
    if path.is_dir():
        raise RestorekitError(f"{path}: is a folder; name a file in it")
    if not os.path.lexists(path) or overwrite:
        return
    if not again:
        raise RestorekitError(f"{path}: exists; name another file, or use --overwrite")
    with files.opened(path) as file:
        if file.read(len(MARK)) != MARK:
            raise RestorekitError(f"{path}: is not a page of restorekit; name another file")


def save_page(path: Path, page: Page, *, overwrite: bool = False, again: bool = False) -> None:
    """Writes a page, whole or not at all; makes its folder. Arguments are those of `check_page`.

    Raises:
        RestorekitError: if something is there that does not give way, or it cannot be written.
    """
    check_page(path, overwrite=overwrite, again=again)
    replace = os.path.lexists(path)
    files.make_folder(path.parent)
    files.write(path, rendered(page, path.absolute().parent).encode("utf-8", "replace"), replace)


def rendered(page: Page, folder: Path) -> str:
    """The page as HTML, with links from a folder."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("restorekit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"link": partial(link, folder), "embedded": embedded, "number": number}
    script = static("compare.js") + static("page.js")
    return made.get_template("page.html").render(
        page=page,
        mark=MARK.decode(),
        version=__version__,
        settings=list(rows_of(page.settings)),
        style=static("page.css") + static("compare.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def static(name: str) -> str:
    """A style or a script of ours."""
    return (resources(__package__) / "static" / name).read_text("utf-8")


def link(folder: Path, file: Path) -> str:
    """Where a file is, from a folder; absolute, where they share no drive."""
    try:
        return quote(os.fsencode(Path(os.path.relpath(file.absolute(), folder)).as_posix()))
    except ValueError:
        return file.absolute().as_uri()


def embedded(picture: bytes) -> str:
    """A WebP as a URL."""
    return f"data:image/webp;base64,{base64.b64encode(picture).decode()}"


def number(value: float) -> str:
    """For people."""
    if math.isnan(value):
        return "?"
    if isinstance(value, int):
        return f"{value:,}"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.4f}"


def rows_of(settings: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, value); what is empty is left out."""
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            yield from rows_of(value, f"{above}.{name}" if above else str(name))
    elif isinstance(settings, list | tuple) and any(isinstance(s, Mapping) for s in settings):
        for count, value in enumerate(settings, 1):
            yield from rows_of(value, f"{above}.{count}" if len(settings) > 1 else above)
    elif settings is not None and settings != [] and settings != "":
        several = isinstance(settings, list | tuple)
        yield above, ", ".join(map(str, settings)) if several else str(settings)
