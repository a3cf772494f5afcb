"""What reading such models takes, and need not be there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from restorekit.errors import RestorekitError


@contextlib.contextmanager
def needs(package: str) -> Iterator[None]:
    """Around an import. Raises RestorekitError where it fails, with what to install."""
    try:
        yield
    except ImportError as error:
        raise RestorekitError(
            f"this prior needs {package} ({error}); pip install 'restorekit[diffusers]'"
        ) from error
