"""Shared by all tests: two threads at most, and the sample photos."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "2")

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture(autouse=True)
def few_threads() -> None:
    import torch

    torch.set_num_threads(2)
