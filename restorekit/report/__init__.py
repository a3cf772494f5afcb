"""What photos have become, to be looked at: pages that open offline, charts, contact sheets.

A page is one file of HTML that asks nothing of any network. Jinja2 makes it, with autoescape, from
the templates beside this file; Matplotlib draws its charts. Both come with restorekit[report].
"""

from .contact import pairs_of_run, sheets
from .gather import Trials, compared, evaluated, tried
from .page import Missing, Page, check_page, needed, rendered, save_page
from .photos import Entry, Gallery
from .run import RunPage
from .sweep import swept

__all__ = [
    "Entry",
    "Gallery",
    "Missing",
    "Page",
    "RunPage",
    "Trials",
    "check_page",
    "compared",
    "evaluated",
    "needed",
    "pairs_of_run",
    "rendered",
    "save_page",
    "sheets",
    "swept",
    "tried",
]
