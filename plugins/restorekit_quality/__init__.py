"""Further metrics, for `--metrics` to name: blur; and, by torchmetrics, vif and ms_ssim.

These two are there with `pip install 'restorekit[metrics]'`. Learned ones, as LPIPS, need
torchvision and weights that are downloaded, and are not among them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING

from restorekit.hookspecs import hookimpl

if TYPE_CHECKING:
    from restorekit.metrics import Metric


@hookimpl
def restorekit_metrics() -> Mapping[str, Metric]:
    from . import measures

    if importlib.util.find_spec("torchmetrics") is None:
        return {"blur": measures.blur}
    return {"blur": measures.blur, "ms_ssim": measures.ms_ssim, "vif": measures.vif}
