"""`--html PAGE.html`, of the commands that may show what they did. An earlier page gives way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..options import always
from .common import PATH

if TYPE_CHECKING:
    from ..folder import Manifest, Workshop
    from ..report import RunPage, Trials


def html(what: str) -> dict[str, Any]:
    """What the option is made with.

    Args:
        what: the page shows, in words.
    """
    return {
        "type": PATH,
        "metavar": "PAGE.html",
        "risky": always,
        "help": f"Also write a page that shows {what}, and opens offline (restorekit[report]).",
    }


def checked(page: Path) -> None:
    """Raises RestorekitError where a page cannot be written, before the work."""
    from ..report import check_page

    check_page(page, again=True)


def page_of(
    page: Path, title: str, shop: Workshop, count: int, manifest: Manifest | None
) -> RunPage:
    """What gathers the page of a run. Raises RestorekitError where it cannot be written."""
    from ..report import RunPage

    restoring, most = shop.restoring, shop.files.max_megapixels
    return RunPage(page, title, restoring.settings, restoring.priors, count, manifest, most)


def trials_for(page: Path, folder: Path, saved: Path | None) -> Trials:
    """What gathers the page of a benchmark. Raises RestorekitError where it cannot be written."""
    from .. import images, report

    checked(page)
    return report.Trials(len(images.below(folder)), saved)
