"""Cases for the gate of states."""

from __future__ import annotations

from . import Case

CASES: list[Case] = []
