"""Where files of defaults are.

There may be two: the user's own, where the platform keeps such files, and a project's, which is the
nearest `restorekit.toml` in the current folder or above it, no further up than the home folder.
RESTOREKIT_CONFIG names one file instead of both; empty, it stands for none.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "RESTOREKIT_CONFIG"
NAME = "restorekit.toml"


@dataclass(frozen=True)
class Place:
    """Where a file of defaults is, or would be.

    Attributes:
        kind: "user", "project", or "chosen" by RESTOREKIT_CONFIG.
        refused: why a file that is there is not read.
    """

    kind: str
    path: Path
    refused: str = ""

    @property
    def there(self) -> bool:
        return is_file(self.path)


def is_file(path: Path) -> bool:
    """Whether there is a file, as far as one may look."""
    return os.path.isfile(path)  # noqa: PTH113 - Path's own raises where one may not


def places() -> list[Place]:
    """The files to look at, the last of which goes before the others."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return [Place("chosen", Path(chosen))] if chosen else []
    import platformdirs

    own = platformdirs.user_config_path("restorekit", appauthor=False) / "config.toml"
    found = project_file()
    return [Place("user", own), *([found] if found else [])]


def project_file() -> Place | None:
    """The nearest, unless it belongs to somebody else, who then decided what commands do here."""
    home = None
    with suppress(RuntimeError, OSError):  # nobody's home
        home = Path.home().resolve()
    try:
        here = Path.cwd()
    except OSError:  # deleted
        return None
    for folder in (here, *here.parents):
        path = folder / NAME
        if is_file(path):
            stranger = hasattr(os, "getuid") and path.stat().st_uid not in (0, os.getuid())
            return Place("project", path, "it belongs to another user" if stranger else "")
        if folder == home:
            break
    return None
