"""`--preview N` and `--at X,Y`: try strengths on a part of a photo, in seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import RestorekitError
from ..options import WHAT, Option

if TYPE_CHECKING:
    from ..chain import Chain
    from ..folder import Spec

LEAST, MOST = 32, 4096  # pixels a side


class Place(click.ParamType):  # type: ignore[type-arg]
    """X,Y: pixels from the left and from the top."""

    name = "X,Y"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        match = re.fullmatch(r"(\d{1,6}),(\d{1,6})", value) if isinstance(value, str) else None
        if match is None:
            self.fail(f"{value!r} is no place; write X,Y in pixels, as in 1200,800", param, ctx)
        return int(match[1]), int(match[2])


def preview_options() -> list[click.Option]:
    """Of all that takes a photo."""
    return [
        Option(
            ["--preview"],
            type=click.IntRange(LEAST, MOST),
            metavar="PIXELS",
            heading=WHAT,
            once=True,
            help="Try it first: restore a part of that width and height only, and write it before "
            "and after, side by side.",
        ),
        Option(
            ["--at"],
            type=Place(),
            heading=WHAT,
            once=True,
            help="Where the preview's middle is, from the top left; by default a telling place.",
        ),
    ]


def previewed(
    chain: Chain,
    inputs: Sequence[Path],
    samples: int,
    *,
    preview: int | None,
    at: tuple[int, int] | None,
) -> Spec:
    """The chain, or its preview where one is asked for.

    Raises:
        RestorekitError: where there is more than one photo to preview, or none.
    """
    if preview is None:
        if at is not None:
            raise RestorekitError("--at says where a preview is; give --preview PIXELS too")
        return chain
    if not chain.takes_photo:
        raise RestorekitError("--preview needs a photo, and this task draws from nothing")
    if samples > 1:
        raise RestorekitError("--preview shows one result; leave out --samples")
    if len(inputs) != 1 or inputs[0].is_dir():
        raise RestorekitError("--preview takes one photo, no folder; name one of its files")
    from ..preview import Preview

    return Preview(chain, preview, at)
