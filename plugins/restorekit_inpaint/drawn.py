"""The masks that the benchmark draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from restorekit.errors import RestorekitError
from restorekit.options import Number

from . import masks

if TYPE_CHECKING:
    import numpy as np

    from restorekit.engine.noise import Noise

OPTIONS = (
    click.Option(
        ["--mask-kind"],
        type=click.Choice(["random", "text", "scratch"]),
        default="random",
        show_default=True,
        help="What to destroy, unless --mask gives a file.",
    ),
    click.Option(
        ["--coverage"],
        type=Number(0, 1, min_open=True, max_open=True),
        default=0.5,
        show_default=True,
        help="Share of the pixels that a random mask destroys.",
    ),
)
NAMES = {option.name for option in OPTIONS}


def mask_for(
    size: tuple[int, int],
    noise: Noise,
    *,
    mask: Any,
    mask_invert: bool,
    mask_color: str | None,
    mask_kind: str,
    coverage: float,
    **others: Any,
) -> np.ndarray:
    """The hole that a benchmark tears into a picture of that size."""
    import numpy as np

    if mask == masks.AUTO or mask_color or any(others[n] for n in ("mask_dir", "mask_from_alpha")):
        raise RestorekitError("clean photos have no masks of their own; use --mask-kind")
    if mask is not None:
        found = masks.read(mask, mask_invert)
        if found.shape != size:
            raise RestorekitError(f"{mask}: its size differs from the photo's; use --mask-kind")
        return found
    if mask_kind == "random":
        uniform = noise.normal(size).numpy()
        return np.asarray(uniform < np.quantile(uniform, coverage))
    seed = int(abs(float(noise.normal((1,))[0])) * 1e6)
    return {"text": text, "scratch": scratches}[mask_kind](size, np.random.default_rng(seed))


def text(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Lines of writing all over the picture."""
    import cv2
    import numpy as np

    canvas = np.zeros(size, dtype=np.uint8)
    step = max(24, size[0] // 10)
    for y in range(step, size[0], step):
        words = "".join(rng.choice(list("restorekit paints it anew "), 120))
        left = -int(rng.integers(60))
        cv2.putText(canvas, words, (left, y), cv2.FONT_HERSHEY_SIMPLEX, step / 40, 255, 2)
    return canvas > 0


def scratches(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Thin wandering lines, as on an old print."""
    import cv2
    import numpy as np

    canvas = np.zeros(size, dtype=np.uint8)
    for _ in range(max(6, round(sum(size) / 60))):
        point = rng.random(2) * size[::-1]
        heading = rng.random() * 2 * np.pi
        path = [point]
        for _ in range(12):
            heading += rng.normal(0, 0.25)
            length = max(size) / 40
            path.append(path[-1] + length * np.array([np.cos(heading), np.sin(heading)]))
        line = np.rint(np.array(path)).astype(np.int32)[:, None]
        cv2.polylines(canvas, [line], False, 255, int(rng.integers(1, 5)))
    return canvas > 0
