"""Cases for the gate of silent."""

from __future__ import annotations

from . import Case

CASES: list[Case] = []
