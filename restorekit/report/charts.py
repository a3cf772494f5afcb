"""Charts as SVG within a page, by Matplotlib: their ink is the page's, in dark and in light."""

from __future__ import annotations

import io
from collections.abc import Sequence
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
class Line:
    """Points that belong together, in order."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


def lines(title: str, across: str, up: str, drawn: Sequence[Line]) -> Chart:
    """A line through each's points."""

    def draw(axes: Axes) -> None:
        for count, line in enumerate(drawn):
            axes.plot(
                line.x,
                line.y,
                "--" if line.dashed else "-",
                marker="o",
                color=COLOURS[count % len(COLOURS)],
                label=line.label,
            )
        axes.legend(fontsize=9)

    rows = [(line.label, x, y) for line in drawn for x, y in zip(line.x, line.y, strict=True)]
    said = "; ".join(
        f"{line.label}: {line.y[0]:.4g} at {line.x[0]:g} to {line.y[-1]:.4g} at {line.x[-1]:g}"
        for line in drawn
    )
    return Chart(title, said, svg(draw, across, up), ["of", across, up], rows)


def points(
    title: str, across: str, up: str, drawn: Sequence[tuple[str, float, float]], named: bool
) -> Chart:
    """A point for each of (label, x, y).

    Args:
        named: whether labels are written beside the points.
    """

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=INK, linewidth=0.6, alpha=0.0 if named else 0.6)
        for count, (label, x, y) in enumerate(drawn):
            colour = COLOURS[count % len(COLOURS) if named else 0]
            axes.plot([x], [y], "o", color=colour, alpha=1.0 if named else 0.6)
            if named:
                axes.annotate(label, (x, y), xytext=(6, 4), textcoords="offset points", fontsize=9)
        if named:
            axes.margins(0.25)

    said = f"{len(drawn)} points" if len(drawn) > 8 else "; ".join(
        f"{label}: {y:.4g} at {x:.4g}" for label, x, y in drawn
    )  # fmt: skip
    return Chart(title, said, svg(draw, across, up), ["of", across, up], drawn if named else ())


def svg(draw: Any, across: str, up: str) -> str:
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
