"""The gates to the disk: whatever is read or written goes through here."""

from .reading import opened, read, text
from .writing import clear, make_folder, unwritable, whole, write

__all__ = ["clear", "make_folder", "opened", "read", "text", "unwritable", "whole", "write"]
