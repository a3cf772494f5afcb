"""Charts as SVG within a page, by Matplotlib: their ink is the page's, in dark and in light."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import RestorekitError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#010203"  # which page.css replaces by the text's colour
COLOURS = ["#3b82c4", "#d9772b", "#2f9e6e", "#b4559c", "#8a7a1f", "#c2473f", "#6f6fd0", "#3a9aa8"]
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "restorekit",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.2,
    "legend.frameon": False,
    **dict.fromkeys(
        ["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], INK
    ),
    "grid.color": INK,
}


@dataclass(frozen=True)
class Chart:
    """A picture of figures, in words too, and the figures themselves."""

    title: str
    said: str
    svg: str
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[str | float]] = ()


@dataclass(frozen=True)
class Group:
    """Points that belong together, in order.

    Attributes:
        label: in the legend.
        x, y: where they are.
        names: beside each, if they have any.
        plain: what the others are measured by.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    names: Sequence[str] = ()
    plain: bool = False


def drawn(title: str, across: str, up: str, groups: Sequence[Group], *, joined: bool) -> Chart:
    """Each group in a colour of its own, and its points joined by a line or not."""

    def draw(axes: Axes) -> None:
        coloured = iter(itertools.cycle(COLOURS))
        for group in groups:
            axes.plot(
                group.x,
                group.y,
                linestyle="none" if not joined else "--" if group.plain else "-",
                marker="o",
                color=INK if group.plain else next(coloured),
                label=group.label,
            )
            for name, x, y in zip(group.names, group.x, group.y, strict=bool(group.names)):
                axes.annotate(name, (x, y), xytext=(7, -3), textcoords="offset points", fontsize=9)
        axes.margins(0.05 if joined else 0.12)
        if len(groups) > 1:
            axes.legend(fontsize=9)

    rows = [
        (group.label, *point) for group in groups for point in zip(group.x, group.y, strict=True)
    ]
    said = "; ".join(f"{group.label}: {min(group.y):.4g} to {max(group.y):.4g}" for group in groups)
    return Chart(title, said, svg(draw, across, up), ["of", across, up], rows)


def svg(draw: Callable[[Axes], None], across: str, up: str) -> str:
    """An SVG element with axes that were drawn on.

    Raises:
        RestorekitError: if Matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RestorekitError(
            "charts need matplotlib, not installed; pip install 'restorekit[report]'"
        ) from error
    buffer = io.StringIO()
    style: Any = STYLE  # its type lists every name there is
    with rc_context(style):
        figure = Figure(figsize=(6.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        nothing = dict.fromkeys(["Creator", "Date", "Format", "Type"])
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
