"""restorekit: photo restoration with a diffusion prior, extensible by plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import RestorekitError

if TYPE_CHECKING:
    from .api import restore

__version__ = "0.1.0"
__all__ = ["RestorekitError", "__version__", "restore"]


def __getattr__(name: str) -> Any:
    # Importing restorekit must not import torch; asking for `restore` does.
    if name == "restore":
        from .api import restore

        return restore
    raise AttributeError(f"module 'restorekit' has no attribute {name!r}")
