"""How `restorekit benchmark dejpeg` compresses clean photos; the baseline is the decoder."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np

    from restorekit.engine.noise import Noise

OPTIONS = (
    click.Option(
        ["--quality"],
        type=click.IntRange(1, 100),
        default=10,
        show_default=True,
        help="Quality of the JPEG; with --luma of the luma alone, as the literature has it.",
    ),
    click.Option(
        ["--subsampling"],
        type=click.Choice(["4:2:0", "4:2:2", "4:4:4"]),
        default="4:2:0",
        show_default=True,
        help="Of its chroma.",
    ),
)


def degrade(
    clean: np.ndarray, noise: Noise, *, quality: int, subsampling: str, **options: Any
) -> tuple[np.ndarray, bytes, dict[str, Any]]:
    """The file; a grey photo has no chroma."""
    from PIL import Image

    buffer = io.BytesIO()
    grey = clean.shape[2] == 1
    picture = Image.fromarray(clean[..., 0] if grey else clean)
    how: dict[str, Any] = {} if grey else {"subsampling": subsampling}
    picture.save(buffer, "JPEG", quality=quality, **how)
    return clean, buffer.getvalue(), options


def decoded(photo: np.ndarray, **options: Any) -> np.ndarray:
    """What any viewer shows."""
    return photo
