"""Cases for the gate of writes."""

from __future__ import annotations

from . import Case

CASES: list[Case] = []
