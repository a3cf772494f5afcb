"""The progress bars of the command line."""

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


class TrainingBar:
    """Progress of a training, as a trainer's report: loss, speed and ETA; validations as lines.

    Where there is no terminal, every row is a line.
    """

    WHOLE = 1000

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bar: Any = None
        if not quiet and sys.stderr.isatty():
            self.bar = click.progressbar(
                length=self.WHOLE, label="training", file=sys.stderr, item_show_func=self._shown
            )

    def __enter__(self) -> TrainingBar:
        if self.bar is not None:
            self.bar.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        if self.bar is not None:
            self.bar.__exit__(*failure)

    def __call__(self, row: dict[str, Any]) -> None:
        if self.quiet:
            return
        if self.bar is not None and "progress" in row:
            self.bar.update(round(self.WHOLE * row["progress"]) - self.bar.pos, row)
            return
        lead = "\r\033[K" if self.bar is not None else ""
        click.echo(lead + "  ".join(f"{k} {v:.5g}" for k, v in row.items()), err=True)

    @staticmethod
    def _shown(row: dict[str, Any] | None) -> str | None:
        if row is None:
            return None
        return (
            f"step {row['step']}  loss {row['loss']:.4f}  {row['images_per_second']:.0f} images/s"
        )
