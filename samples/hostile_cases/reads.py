"""Cases for the gate of reads."""

from __future__ import annotations

from . import Case

CASES: list[Case] = []
