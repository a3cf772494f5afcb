"""Models of diffusers, guided-diffusion and Stable Diffusion as priors, wherever they lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from restorekit.hookspecs import hookimpl

if TYPE_CHECKING:
    from restorekit.priors import Prior


@hookimpl
def restorekit_open_prior(path: Path) -> Prior | None:
    from . import adm, latent, pixel
    from .folder import unet_of

    if not path.is_dir():
        return adm.opened(path)
    unet = unet_of(path)
    if unet is None:
        return None
    return latent.opened(unet) or pixel.opened(unet)
