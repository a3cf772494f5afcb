"""DRUNet, a denoiser for plug-and-play restoration, as its authors publish it (KAIR, DPIR)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from restorekit.hookspecs import hookimpl

if TYPE_CHECKING:
    from restorekit.priors import Prior

SUFFIXES = (".pth", ".pt")


@hookimpl
def restorekit_open_prior(path: Path) -> Prior | None:
    if path.is_dir() or path.suffix.lower() not in SUFFIXES:
        return None
    from .prior import opened

    return opened(path)
