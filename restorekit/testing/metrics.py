"""Does a metric measure, in the direction that it says?"""

from __future__ import annotations

import math

import numpy as np

from ..metrics import Metric, applied, better, traits
from .methods import name_of

SIDES = (192, 208)  # several scales of an image pyramid fit


def check_metric(metric: Metric) -> None:
    """Asserts what tables of scores rely on.

    - Its numbers are finite floats for colour and grey, upright and lying pictures, and the same
      when asked again; the pictures stay as they are.
    - The more a picture is blurred, or has noise, the worse they are, in its own direction.
    - It makes no difference whether pictures lie on 0..255 or on 0..1.
    - With a reference: no picture is better than the reference itself; other sizes are refused.

    Args:
        metric: with its traits, see `restorekit.metrics`.
    """
    said = traits(metric)
    name = name_of(metric)
    clean = photo()

    def score(seen: np.ndarray, reference: np.ndarray, peak: float = 255.0) -> float:
        kept = seen.copy(), reference.copy()
        found = applied(metric, seen, reference, peak)
        same = np.array_equal(kept[0], seen) and np.array_equal(kept[1], reference)
        assert same, f"metric {name} changed the pictures it was given"
        assert isinstance(found, float), f"metric {name} gave a {type(found).__name__}, no float"
        assert not math.isnan(found), f"metric {name} gave NaN"
        return found

    def worse(a: float, b: float) -> bool:
        return better(metric, b, a)

    for kind, damaged in (("noise", noisy), ("blur", blurred)):
        scores = [score(damaged(clean, step), clean) for step in (1, 2, 3)]
        assert all(math.isfinite(s) for s in scores), f"metric {name} gave {scores} for {kind}"
        falls = worse(scores[1], scores[0]) and worse(scores[2], scores[1])
        if said.needs_reference:  # without one, noise may pass for detail
            way = "fall" if said.higher_is_better else "rise"
            assert falls, f"metric {name} must {way} with more {kind}, but gave {scores}"
        elif kind == "blur":
            assert falls, f"metric {name} must get worse with more blur, but gave {scores}"
    seen = noisy(clean, 2)
    first = score(seen, clean)
    assert score(seen, clean) == first, f"metric {name} gave another number when asked again"
    unit = score(seen / 255, clean / 255, 1.0)
    near = math.isclose(unit, first, rel_tol=1e-3, abs_tol=1e-4)
    assert near, f"metric {name} gave {first} on 0..255, but {unit} on 0..1: use data_range"
    lying, grey = np.swapaxes(seen, 0, 1).copy(), seen[..., :1].copy()
    score(lying, np.swapaxes(clean, 0, 1).copy())
    score(grey, clean[..., :1].copy())
    if not said.needs_reference:
        return
    best = score(clean, clean.copy())
    assert worse(first, best), f"metric {name} gave {best} for equals, but {first} for noise"
    try:
        found = metric(seen[:-1], clean, 255.0)  # type: ignore[call-arg, arg-type]
    except Exception as error:
        assert str(error), f"metric {name} refuses pictures of different sizes without saying why"
    else:
        raise AssertionError(f"metric {name} gave {found} for pictures of different sizes")


def photo() -> np.ndarray:
    """(H, W, 3) float64 on 0..255: a cat, its eyes and its whiskers."""
    from skimage import data

    return data.chelsea()[40 : 40 + SIDES[0], 60 : 60 + SIDES[1]].astype(np.float64)


def noisy(clean: np.ndarray, step: int) -> np.ndarray:
    normal = np.random.default_rng(0).standard_normal(clean.shape)
    return (clean + 8 * step * normal).clip(0, 255)


def blurred(clean: np.ndarray, step: int) -> np.ndarray:
    from skimage.filters import gaussian

    return np.asarray(gaussian(clean, 0.8 * step, channel_axis=2, preserve_range=True))
