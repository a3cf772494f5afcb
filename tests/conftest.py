"""Shared by all tests: one thread, which is fastest for small pictures, and the samples."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)
