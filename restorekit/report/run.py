"""The page of a folder run: gathered photo by photo, written when all are done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import images
from ..errors import RestorekitError
from ..folder import Manifest, Outcome, picture_of
from ..folder.records import Told
from .gather import CHANGE, COST, EXPLAINED, versions
from .page import Missing, Page, check_page, save_page
from .photos import Gallery, Shown, said_by
from .pictures import alike, change


class RunPage:
    """Gathers the outcomes of a run.

    Photos that an earlier run has done are on the page too, with what its record tells of them.

    Args:
        path: of the page; an earlier page of ours gives way.
        title: what was done.
        settings: what decided the pixels.
        priors: the files of its weights.
        count: of the photos.
        manifest: of the output folder; None where a single file is written.
        max_megapixels: of a photo.

    Raises:
        RestorekitError: if the page cannot be written there.
    """

    def __init__(
        self,
        path: Path,
        title: str,
        settings: Any,
        priors: Sequence[Path],
        count: int,
        manifest: Manifest | None,
        max_megapixels: float,
    ) -> None:
        check_page(path, again=True)
        self.path, self.title, self.manifest = path, title, manifest
        self.settings = {
            "done": settings,
            "priors": [prior.name for prior in priors],
            **versions(),
        }
        self.max_megapixels = max_megapixels
        self.gallery = Gallery(count)
        self.missing: list[Missing] = []
        self.counts = {"restored": 0, "done already": 0, "skipped": 0, "failed": 0}
        self.told: list[Told] = []

    def __call__(self, outcome: Outcome) -> None:
        """Takes in what became of a photo."""
        job = outcome.job
        if outcome.failure:
            self.left_out(Missing(job.name, "failed", outcome.failure, job.source))
            return
        told = Told(outcome.notes, outcome.seconds, outcome.megapixels, outcome.nfe)
        written = list(outcome.written)
        state = "restored"
        if outcome.done and self.manifest is not None:
            row = self.manifest.rows[job.name]
            told, written = row.told, [self.manifest.folder / path for path in row.written]
            state = "done already"
        if not written:
            self.left_out(Missing(job.name, "skipped", "; ".join(outcome.notes), job.source))
            return
        try:
            self.add(job.name, job.source, written, told)
        except RestorekitError as error:  # moved away by now, say
            self.left_out(Missing(job.name, "failed", f"cannot be shown: {error}", job.source))
            return
        self.counts[state] += 1
        self.told.append(told)

    def left_out(self, missing: Missing) -> None:
        """Takes in that a photo is not to be seen, and why."""
        self.missing.append(missing)
        self.counts[missing.state] += 1

    def unreadable(self, problem: str) -> None:
        """Takes in that a folder could not be read."""
        self.left_out(Missing(problem.partition(":")[0], "failed", problem))

    def add(self, name: str, source: Path | None, written: Sequence[Path], told: Told) -> None:
        picture, deviation = picture_of(written)
        after = images.read(picture, max_megapixels=float("inf"))
        shown = {"after": Shown.of(after, picture)}
        figures: dict[str, float] = {}
        facts = said_by(after)
        if source is not None:
            before = images.read(source, max_megapixels=self.max_megapixels)
            shown["before"] = Shown.of(before, source)
            facts = said_by(before)
            if alike(shown["before"].pixels, shown["after"].pixels):
                figures[CHANGE] = change(shown["before"].pixels, shown["after"].pixels)
        if deviation is not None:
            shown["deviation"] = Shown.of(images.read(deviation), deviation)
        if told.seconds:
            figures[COST] = told.seconds
        if told.nfe:
            figures["network evaluations"] = told.nfe
        self.gallery.add(name, shown, figures=figures, notes=told.notes, facts=facts)

    def page(self) -> Page:
        """All that was gathered."""
        summary = [(state, str(count)) for state, count in self.counts.items() if count]
        seconds = sum(told.seconds for told in self.told)
        size = sum(told.megapixels for told in self.told if told.seconds)
        if size:
            summary += [
                ("seconds in all", f"{seconds:.1f}"),
                ("seconds a megapixel", f"{seconds / size:.2f}"),
            ]
        return Page(
            self.title,
            self.gallery.entries,
            self.missing,
            summary,
            self.settings,
            explained=EXPLAINED,
        )

    def save(self) -> None:
        """Writes the page. Raises RestorekitError, as `save_page` does."""
        save_page(self.path, self.page(), again=True)
