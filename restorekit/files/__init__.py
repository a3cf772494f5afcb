"""The gates to the disk: whatever is read or written goes through here."""

from .reading import digest, opened, read, text
from .writing import (
    abandon,
    appended,
    check_target,
    clear,
    guarded,
    identity,
    make_folder,
    publish,
    report,
    taken,
    unwritable,
    whole,
    write,
    write_report,
)

__all__ = [
    "abandon",
    "appended",
    "check_target",
    "clear",
    "digest",
    "guarded",
    "identity",
    "make_folder",
    "opened",
    "publish",
    "read",
    "report",
    "taken",
    "text",
    "unwritable",
    "whole",
    "write",
    "write_report",
]
