"""The photos that trainings here see."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from restorekit import images

from ..conftest import SAMPLES


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples, a subfolder, and files that training must pass over."""
    folder = tmp_path_factory.mktemp("photos")
    shutil.copytree(SAMPLES / "photos", folder / "below")
    shutil.copy(folder / "below" / "cat.png", folder / "again.png")
    (folder / "broken.png").write_bytes(b"no picture")
    images.write(folder / "small.png", images.Photo(np.zeros((9, 9, 3), dtype=np.uint8)))
    return folder
