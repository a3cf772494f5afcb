"""Writing: whole or not at all; what cannot be written is one line of error."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from restorekit import images
from restorekit.errors import RestorekitError
from restorekit.images import Photo

from .pictures import smooth

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")  # pytest undoes our filter


def test_write_follows_the_umask_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    path.write_text("old")
    before = os.umask(0o027)
    try:
        images.write(path, Photo(smooth()))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]
    np.testing.assert_array_equal(images.read(path).pixels, smooth())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_failed_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "p.png"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(RestorekitError, match=r"p\.png: cannot be written \(.+\); "):
        images.write(path, Photo(smooth()))
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"] and path.read_text() == "old"


def test_check_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.png").mkdir()
    images.check_writable(tmp_path / "new" / "deeper" / "p.PNG")
    assert not (tmp_path / "new").exists()
    for path, photo, word in [
        (tmp_path / "p.xyz", None, ".png .jpg"),
        (tmp_path / "p", None, ".png .jpg"),
        (tmp_path / "folder.png", None, "is a folder"),
        (tmp_path / "file" / "p.png", None, "is a file"),
        (tmp_path / ("n" * 300) / "p.png", None, "name too long"),
        (tmp_path / "p.webp", Photo(np.zeros((1, 16384, 3), np.uint8)), "16383"),
    ]:
        for attempt in (images.check_writable, lambda p, f: images.write(p, f or Photo(smooth()))):
            with pytest.raises(RestorekitError) as caught:
                attempt(path, photo)
            assert str(caught.value).startswith(f"{path}: ") and word in str(caught.value)
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root
    with pytest.raises(RestorekitError, match="read-only"):
        images.check_writable(tmp_path / "p.png")
