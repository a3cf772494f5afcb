"""restorekit: photo restoration with a diffusion prior, extensible by plugins."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .errors import RestorekitError

if TYPE_CHECKING:
    from .api import diagnose, restore

    __api__: int

__version__ = "0.1.0"
__all__ = ["RestorekitError", "__api__", "__version__", "diagnose", "restore"]


# For torch, which looks when it is first imported: memory in pages of 2 MB, not of 4 kB. Maps of
# more than 32 MB come anew from the kernel each time: a quarter of a large photo's time.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def __getattr__(name: str) -> Any:
    # Importing restorekit must not import torch; asking for what it does does.
    if name in ("diagnose", "restore"):
        from . import api

        return getattr(api, name)
    if name == "__api__":
        from .hookspecs import API

        return API
    raise AttributeError(f"module 'restorekit' has no attribute {name!r}")
