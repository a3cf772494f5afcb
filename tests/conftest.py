"""Shared by all tests: one thread, which is fastest for small pictures, and the samples."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["RESTOREKIT_CONFIG"] = ""  # whoever runs the tests may have defaults of their own

# Commands that are started in the background ignore Ctrl-C, and so would those that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, so that commands read as a user types them."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
