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
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from restorekit import priors
from restorekit.errors import RestorekitError
from restorekit.tensors import narrowed, widened

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


@settings(deadline=None)
@given(arrays(np.float32, (3, 2, 3, 3), elements=st.floats(-60_000, 60_000, width=32)))
def test_eight_bits_are_half_a_step_from_the_number(rows: np.ndarray) -> None:
    rows[1] = 0  # as layers begin that shall change nothing
    tensors = {"w": torch.from_numpy(rows), "b": torch.tensor([0.1, -7.0])}
    kept = narrowed(tensors)
    found = widened(kept)
    assert kept["w"].dtype == torch.int8 and list(found) == ["w", "b"]
    steps = np.abs(rows).max((1, 2, 3)) / 127
    error = np.abs(found["w"].numpy() - rows).max((1, 2, 3))
    assert (error <= steps * 0.5001 + 1e-20).all() and (found["w"][1] == 0).all()
    assert torch.equal(found["b"], tensors["b"].half().float())


def test_a_prior_may_be_kept_in_eight_bits(tmp_path: Path) -> None:
    """Half as long; it loads as what it was, and nearly answers so."""
    small, large = tmp_path / "small.safetensors", tmp_path / "large.safetensors"
    torch.manual_seed(0)
    tensors = {name: torch.randn_like(w.float()) / 4 for name, w in weights().items()}
    priors.save(large, tensors, DESCRIBED)
    priors.save(small, tensors, DESCRIBED, bits=8)
    y, t = torch.randn(1, 3, 16, 16), torch.tensor(500.0)
    assert small.stat().st_size < 0.75 * large.stat().st_size  # the rest is the header
    a, b = (priors.load(file)(y, t).x_0 for file in (large, small))
    assert 0 < (a - b).std() < 0.05 * (a - y).std()


def broken(steps: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A file's tensors in eight bits, with other steps."""
    kept = narrowed(weights())
    return {name: w for name, w in kept.items() if not name.endswith("head.weight.step")} | steps


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({}, "do not fit"),
        ({"head.weight.step": torch.ones(2)}, r"'head.weight.step' is \(2,\)"),
        ({"head.weight.step": torch.ones(3, dtype=torch.int8)}, "do not fit"),
        ({"head.weight.step": torch.ones(3), "head.weight.step.step": torch.ones(3)}, "step.step"),
        ({"head.weight.step": torch.full((3,), math.nan)}, "NaN"),
        ({"head.weight.step": torch.ones(3), "head.bias.step": torch.ones(3)}, "do not fit"),
    ],
)
def test_eight_bits_need_their_steps(
    tmp_path: Path, steps: dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(RestorekitError, match=message):
        priors.load(prior(tmp_path / "p.safetensors", broken(steps)))


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
