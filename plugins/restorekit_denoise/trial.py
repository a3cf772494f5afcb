"""How `restorekit benchmark denoise` makes clean photos noisy, and the classical baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from restorekit.units import from_engine, to_engine

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorekit.engine.noise import Noise

ASSUMED = 25 / 255  # the noise that is added where it is to be estimated
QUALITY = 75  # of --noise jpeg
OPTIONS = (
    click.Option(
        ["--noise", "kind"],
        type=click.Choice(["white", "camera", "grain", "jpeg"]),
        default="white",
        show_default=True,
        help="White noise, of level --sigma; a sensor's, demosaiced; of film; or a sensor's in a "
        "JPEG of quality 75. All but white noise must be estimated.",
    ),
)


def degrade(
    clean: np.ndarray, noise: Noise, *, sigma: float | str, kind: str, **options: Any
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Adds noise of root mean square sigma, 25 of 255 for "auto".

    White noise is not clipped and its level is told, as the literature has it. What is real comes
    in 8 bits, and the level that is added is not told.
    """
    level = ASSUMED if isinstance(sigma, str) else sigma
    if kind == "white":
        eps = noise.normal(clean.shape).numpy()
        noisy = (clean / 255 + level * eps).astype("float32")
        return clean, noisy, {"sigma": sigma, **options}
    import numpy as np

    from restorekit import camera

    x = to_engine(clean).add(1).div(2)
    photo = with_noise(x.expand(-1, 3, -1, -1), level, kind, noise)[:, : x.shape[1]]
    if kind == "jpeg":
        photo = camera.jpeg(photo.expand(-1, 3, -1, -1), QUALITY)[:, : x.shape[1]]
    seen = from_engine(photo * 2 - 1, np.dtype(np.uint8))
    return clean, seen, {"sigma": "auto", **options}


def with_noise(x: Tensor, level: float, kind: str, noise: Noise) -> Tensor:
    """(1, 3, H, W) on [0, 1] with film's grain or a sensor's noise, of root mean square `level`.

    How strong a sensor's noise comes out depends on the picture, so its strength is searched for.
    """
    from restorekit import camera

    strength, noisy = 1.0, x
    for _ in range(6):
        again = noise.branch(kind)  # the same normals each time
        if kind == "grain":
            noisy = camera.grain(x, strength * level, again.normal)
        else:
            raw = (strength * level) ** 2
            noisy = camera.sensor(x, raw, raw**0.5 / 4, again.normal)
        found = float((noisy.clamp(0, 1) - x).square().mean().sqrt())
        strength *= level / max(found, 1e-6)
    return noisy


def non_local_means(noisy: np.ndarray, *, sigma: float | str, **options: Any) -> np.ndarray:
    """OpenCV's, on 8 bits, which is all it takes, at the strength that does best on photos."""
    import cv2

    from restorekit.noise_level import estimate
    from restorekit.units import eight_bit

    level = estimate(to_engine(noisy)).level if isinstance(sigma, str) else sigma
    eight = eight_bit(noisy)
    strength = max(0.65 * 255 * level, 1.0)
    if eight.shape[2] == 1:
        return cv2.fastNlMeansDenoising(eight, None, strength, 7, 21)[..., None]
    return cv2.fastNlMeansDenoisingColored(eight, None, strength, strength, 7, 21)
