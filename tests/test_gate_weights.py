"""The gate of states: what a weights file holds is checked before it is used."""

from __future__ import annotations

import json
import math
import os
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from restorekit import priors
from restorekit.errors import RestorekitError

from .commands import run, save
from .weights import DESCRIBED, prior, weights


def header(path: Path, entries: Any, length: int | None = None, size: int = 0) -> Path:
    """A weights file of a header alone, sparse up to a size."""
    raw = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw)
    os.truncate(path, max(size, path.stat().st_size))
    return path


def described(**changed: Any) -> dict[str, str]:
    return {priors.KEY: json.dumps(DESCRIBED | changed)}


ENORMOUS = {"dtype": "F32", "shape": [4_000_000_000], "data_offsets": [0, 16_000_000_000]}
WRONG_HEADERS: dict[str, tuple[Any, str]] = {
    "no object": ([1], "object"),
    "nested": (b"[" * 200_000, "not a prior"),
    "nested inside": ({"__metadata__": {priors.KEY: "[" * 200_000}}, "not a prior"),
    "no UTF-8": (b'{"\xff": 1}', "not a prior"),
    "metadata of numbers": ({"__metadata__": {priors.KEY: 3}}, "not a prior"),
    "nothing of ours": ({"__metadata__": {}}, "describes no network"),
    "unknown tensor": ({"__metadata__": described(), "more": ENORMOUS}, "parameters"),
    "negative shape": (
        {"__metadata__": described(), "w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        "not a prior",
    ),
    "no tensors": ({"__metadata__": described()}, "fewer tensors"),
}
WRONG_DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "a million blocks": {"network": {"widths": [4, 6, 8], "blocks": 1_000_000}},
    "64 blocks": {"network": {"widths": [4, 6, 8], "blocks": 64}},
    "wide": {"network": {"widths": [10**9]}},
    "other widths": {"network": {"widths": [4, 6, 10], "blocks": 1}},
    "more levels": {"network": {"widths": [4] * 40}},
    "widths of text": {"network": {"widths": "468"}},
    "network of another's": {"network": {"depth": 3}},
    "network no table": {"network": [1]},
    "norm of text": {"network": {"widths": [4, 6, 8], "blocks": 1, "norm": "no"}},
    "sigma_data 0": {"sigma_data": 0},
    "sigma_data of text": {"sigma_data": "0.5"},
    "sigma_data missing": {"sigma_data": None},
    "sigma_data infinite": {"sigma_data": math.inf},
    "no such schedule": {"schedule": "magic"},
    "training no table": {"training": [1]},
    "training crop": {"training": {"crop": 10**12}},
    "noise falls": {"training": {"noise": [3.0, 1.0]}},
    "noise of text": {"training": {"noise": ["a"]}},
}


@pytest.mark.parametrize("name", WRONG_HEADERS)
def test_a_header_is_checked_before_anything_is_read(tmp_path: Path, name: str) -> None:
    entries, message = WRONG_HEADERS[name]
    file = header(tmp_path / "p.safetensors", entries, size=200_000)
    began = time.monotonic()
    with pytest.raises(RestorekitError, match=message):
        priors.load(file)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", WRONG_DESCRIPTIONS)
def test_a_description_is_checked_before_anything_is_built(tmp_path: Path, name: str) -> None:
    file = prior(tmp_path / "p.safetensors", **WRONG_DESCRIPTIONS[name])
    began = time.monotonic()
    with pytest.raises(RestorekitError, match=r"p\.safetensors: "):
        priors.load(file)
    assert time.monotonic() - began < 5


def test_an_enormous_unknown_tensor_takes_no_memory(tmp_path: Path) -> None:
    tensors = weights() | {"more": torch.zeros(1000, dtype=torch.half)}
    file = prior(tmp_path / "p.safetensors", tensors)
    with pytest.raises(RestorekitError, match="'more' is"):
        priors.load(file)
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    with pytest.raises(RestorekitError, match="pipe"):
        priors.load(pipe)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_are_finite_in_and_out(tmp_path: Path, value: float) -> None:
    tensors = weights()
    tensors["head.bias"][0] = value
    with pytest.raises(RestorekitError, match="NaN or infinity"):
        priors.load(prior(tmp_path / "p.safetensors", tensors))
    with pytest.raises(RestorekitError, match="NaN or infinity"):
        priors.save(tmp_path / "out.safetensors", tensors, DESCRIBED)
    tensors = {k: v.float() for k, v in weights().items()}
    tensors["head.bias"][0] = 1e30  # finite, but not in half precision
    with pytest.raises(RestorekitError, match="NaN or infinity"):
        priors.save(tmp_path / "out.safetensors", tensors, DESCRIBED)
    assert not (tmp_path / "out.safetensors").exists()


def test_pictures_are_finite_out(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Weights may be finite and their answers not: no black photo, and no exit code 0."""
    wild = {k: v.float() * (1 if v.ndim < 4 else 1e19) for k, v in weights().items()}
    prior(here / "wild.safetensors", wild)
    Path("in").mkdir()
    for name in ("a", "b"):
        save(f"in/{name}.png", np.full((16, 16, 3), 90, dtype=np.uint8))
    assert run("denoise in/a.png --sigma 25 --prior wild.safetensors -o out.png") == 1
    assert "NaN or infinity" in capfd.readouterr().err
    assert run("denoise in --sigma 25 --prior wild.safetensors -o out") == 3
    assert not Path("out.png").exists() and not list(Path("out").glob("*.png"))
