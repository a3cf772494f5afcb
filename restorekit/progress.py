"""The progress bars of the command line."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from typing_extensions import Self


def on_terminal() -> bool:
    """Whether somebody watches the standard error, which a service may start without."""
    return sys.stderr is not None and sys.stderr.isatty()


class Bar:
    """Progress of one photo's sampler steps, as its callback, from whatever thread.

    To be closed where its command ends, as Ctrl-C may end it.
    """

    PARTS = 100  # of a step

    def __init__(self, label: str) -> None:
        self.label = label
        self.bar: Any = None

    def __call__(self, done: float, total: int) -> None:
        if self.bar is None:
            length = self.PARTS * total
            self.bar = click.progressbar(length=length, label=self.label, file=sys.stderr)
            self.bar.render_progress()
        self.bar.update(round(self.PARTS * done) - self.bar.pos)
        if done == total:
            self.close()

    def close(self) -> None:
        """Ends the line and shows the cursor, which the bar hid."""
        if self.bar is not None:
            self.bar.render_finish()
            self.bar = None


class _Shown:
    """A bar that is shown within a `with` block, where there is a terminal."""

    bar: Any = None

    def __enter__(self) -> Self:
        if self.bar is not None:
            self.bar.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:
        if self.bar is not None:
            self.bar.__exit__(*failure)


class FolderBar(_Shown):
    """Progress over photos: done, failed, megapixels a second, the time left, the last name.

    A bar on a terminal; a plain line every few seconds elsewhere.
    """

    EVERY = 5.0  # seconds between lines

    def __init__(self, total: int, quiet: bool = False) -> None:
        self.total, self.quiet = total, quiet
        self.done = self.failed = 0
        self.megapixels = 0.0
        self.began = self.told = time.monotonic()
        if not quiet and on_terminal():
            self.bar = click.progressbar(
                length=total, file=sys.stderr, show_pos=True, item_show_func=lambda text: text
            )

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Makes room for other lines."""
        if self.bar is not None:
            click.echo("\r\033[K", nl=False, err=True)
        yield
        if self.bar is not None:
            self.bar.render_progress()

    def __call__(self, megapixels: float, name: str, failed: bool) -> None:
        self.done += 1
        self.failed += failed
        self.megapixels += megapixels
        if self.quiet:
            return
        now = time.monotonic()
        speed = self.megapixels / max(now - self.began, 1e-9)
        end = name if len(name) <= 30 else f"…{name[-29:]}"
        text = f"{self.failed} failed, {speed:.2f} MP/s, {end}"
        if self.bar is not None:
            self.bar.update(1, text)
        elif now - self.told > self.EVERY:
            self.told = now
            left = (now - self.began) / self.done * (self.total - self.done)
            minutes, seconds = divmod(round(left), 60)
            line = f"{self.done} of {self.total} done, {minutes}:{seconds:02} left, {text}"
            click.echo(line, err=True)


class TrainingBar(_Shown):
    """Progress of a training, as a trainer's report: loss, speed and ETA; validations as lines.

    Where there is no terminal, every row is a line.
    """

    WHOLE = 1000

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.latest: dict[str, Any] = {}
        if not quiet and on_terminal():
            self.bar = click.progressbar(
                length=self.WHOLE,
                label="training",
                file=sys.stderr,
                show_eta=False,
                item_show_func=self._shown,
            )

    def __call__(self, row: dict[str, Any]) -> None:
        if self.quiet:
            return
        if self.bar is not None and "progress" in row:
            self.latest |= row
            self.bar.update(round(self.WHOLE * row["progress"]) - self.bar.pos, self.latest)
            return
        if "progress" in row and "loss" not in row:
            return  # for bars alone
        lead = "\r\033[K" if self.bar is not None else ""
        click.echo(lead + "  ".join(f"{k} {v:.5g}" for k, v in row.items()), err=True)

    @staticmethod
    def _shown(row: dict[str, Any] | None) -> str | None:
        if row is None:
            return None
        shown = f"step {row['step']}"
        if "loss" in row:
            shown += f"  loss {row['loss']:.4f}  {row['images_per_second']:.0f} images/s"
        if row["progress"]:  # by the time trained in all, so that resumed runs tell it right
            left = row["elapsed"] * (1 - row["progress"]) / row["progress"]
            shown += f"  {timedelta(seconds=round(left))} left"
        return shown
