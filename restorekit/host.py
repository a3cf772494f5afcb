"""How much memory this process may still have, in a container too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

from . import files
from .errors import RestorekitError

CGROUPS = Path("/sys/fs/cgroup")
# limit, use, and where memory.stat tells of files that are cached and would make way
UNIFIED = ("memory.max", "memory.current", "inactive_file")
LEGACY = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def free_memory() -> int:
    """Bytes that can still be had: of the machine's, and of every control group's around us."""
    return max(min([int(psutil.virtual_memory().available), *_left()]), 0)


def _left() -> Iterator[int]:
    """What each control group with a limit leaves, from our own up to the container's root."""
    try:
        lines = files.text("/proc/self/cgroup").splitlines()
    except RestorekitError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        root = CGROUPS if not controllers else CGROUPS / "memory"
        own = PurePosixPath(path.lstrip("/"))
        for group in (own, *own.parents):  # in a container, the path may be that of its host
            left = _left_in(root / group, UNIFIED if not controllers else LEGACY)
            if left is not None:
                yield left


def _left_in(group: Path, names: tuple[str, str, str]) -> int | None:
    """Of one control group; None where it has no limit."""
    try:
        limit, used = (int(files.text(group / name)) for name in names[:2])
        stat = dict(line.split() for line in files.text(group / "memory.stat").splitlines())
    except (RestorekitError, ValueError):  # "max", or no such group
        return None
    return limit - used + int(stat.get(names[2], 0))
