"""What became of the photos: printed as it comes, written into a report, and summed up."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from .common import shown

if TYPE_CHECKING:
    from ..folder import Outcome


class Tally:
    """Tells of every outcome and counts.

    Args:
        report: gets a JSON line for each.
        quiet: print failures only.
    """

    def __init__(self, report: BinaryIO | None, quiet: bool) -> None:
        self.report, self.quiet = report, quiet
        self.restored = self.skipped = self.failed = self.done = self.left = 0
        self.listening, self.broken = True, ""

    def __call__(self, outcome: Outcome, told: bool = True) -> None:
        """Prints what was written, and to the standard error why not.

        Args:
            told: whether to print a failure.
        """
        state = "failed" if outcome.failure else "skipped" if outcome.skipped else "restored"
        setattr(self, state, getattr(self, state) + 1)
        self.done += outcome.done
        self.left += outcome.left
        if outcome.failure and told:
            click.echo(shown(f"failed: {outcome.failure}"), err=True)
        elif not self.quiet:
            for note in outcome.notes:
                click.echo(shown(f"{outcome.job.name}: {note}"), err=True)
            for path in outcome.written:
                self._print(shown(path))
        self._row(
            name=outcome.job.name,
            input=str(outcome.job.source),
            state=state,
            outputs=[str(path) for path in outcome.written],
            reason=outcome.failure,
            notes=outcome.notes,
            megapixels=round(outcome.megapixels, 4),
            seconds=round(outcome.seconds, 4),
            nfe=outcome.nfe,
            left=outcome.left,
        )

    def unreadable(self, problem: str) -> None:
        """A folder whose photos are missing."""
        self.failed += 1
        click.echo(shown(f"failed: {problem}"), err=True)
        self._row(name=problem.partition(":")[0], state="failed", reason=problem)

    def sum_up(self) -> None:
        """The last line."""
        if self.failed or not self.quiet:
            sound = f" ({self.left} of them unchanged)" if self.left else ""
            counts = (
                f"{self.restored} restored{sound}, {self.skipped} skipped, {self.failed} failed"
            )
            click.echo(counts, err=True)

    def _row(self, **row: Any) -> None:
        if self.report is None:
            return
        try:
            self.report.write((json.dumps(row) + "\n").encode())
        except OSError as error:  # the photos go on
            self.report, self.broken = None, f"the report ended early ({error.strerror})"
            click.echo(f"{self.broken}; the photos go on", err=True)

    def _print(self, line: str) -> None:
        """To the standard output, as long as somebody listens."""
        if not self.listening:
            return
        try:
            click.echo(line)
        except (OSError, ValueError):
            self.listening = False
            with contextlib.suppress(OSError, ValueError):  # what is buffered would fail at the end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
