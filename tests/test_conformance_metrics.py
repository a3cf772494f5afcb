"""The conformance kit for metrics: ours pass, and every check finds what was broken on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from restorekit import plugins
from restorekit.metrics import Metric, psnr
from restorekit.testing import (
    check_metric,
)


@pytest.mark.parametrize("name", ["psnr", "ssim", "blur", "ms_ssim", "vif"])
def test_metrics(name: str) -> None:
    if name in ("ms_ssim", "vif"):
        pytest.importorskip("torchmetrics")
    check_metric(plugins.registry().offered("metric")[name])


def mae(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    return float(np.abs(restored - reference).mean() / data_range)


def lower(metric: Any) -> Any:
    """The same, as a distance."""

    def measured(*pictures: Any) -> Any:
        return metric(*pictures)

    measured.higher_is_better = False  # type: ignore[attr-defined]
    return measured


def bright(restored: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    restored += 1
    return psnr(restored, reference, data_range)


def spread(restored: np.ndarray, data_range: float) -> float:
    """Contrast: without a reference, the more the better."""
    return float(np.abs(np.diff(restored, axis=0)).mean() / data_range)


spread.needs_reference = False  # type: ignore[attr-defined]


def test_metrics_with_traits() -> None:
    check_metric(lower(mae))
    check_metric(spread)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (mae, "must fall with more noise"),
        (lower(psnr), "must rise with more noise"),
        (lower(lambda a, b, _: float(np.abs(a - b).mean())), "use data_range"),
        (lower(lambda *given: np.float32(mae(*given))), "gave a float32"),
        (lower(lambda *_: float("nan")), "gave NaN"),
        (bright, "changed the pictures"),
        (lambda a, b, p: 0.0 if np.array_equal(a, b) else psnr(a, b, p), "for equals"),
        (
            lambda a, b, p: psnr(a[: len(b)], b[: len(a)], p),
            "for pictures of different sizes",
        ),
    ],
)
def test_a_broken_metric(broken: Metric, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_metric(broken)
