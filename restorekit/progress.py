"""The progress bar of the command line."""

from __future__ import annotations

import sys
from typing import Any

import click


class Bar:
    """Progress of one photo's network evaluations, as a sampler's callback."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None:
            self.bar = click.progressbar(length=total, label=self.label, file=sys.stderr)
            click.get_current_context().call_on_close(self.close)  # Ctrl-C keeps the cursor
            self.bar.render_progress()
        self.bar.update(done - self.bar.pos)
        if done == total:
            self.close()

    def close(self) -> None:
        """Ends the line and shows the cursor, which the bar hid."""
        if self.bar is not None:
            self.bar.render_finish()
            self.bar = None
