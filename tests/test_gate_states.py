"""The gate of states: what a training has stored fits its schema, or is refused or made anew."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from restorekit import images, priors, state
from restorekit.engine.unet import UNetConfig
from restorekit.errors import RestorekitError
from restorekit.tensors import BITS
from restorekit.training import data, trainer
from restorekit.training.export import export
from restorekit.training.run import Checkpoint, Log, Run
from restorekit.training.settings import Settings


@pytest.mark.parametrize("text", ["[1]", "[" * 100_000, "{", "3", '{"batch": "x"}', "\ud800"])
def test_stored_settings_are_checked(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(RestorekitError, match="no training run"):
        _ = Run(tmp_path).settings


TINY = Settings(network=UNetConfig(widths=(4, 6), blocks=1), precision="float32")


def checkpoint(**changed: Any) -> Any:
    from restorekit.engine.unet import UNet

    network = UNet(TINY.network)
    own = {k: v.detach().clone() for k, v in network.state_dict().items()}
    state: Checkpoint = {
        "network": own,
        "averaged": {k: v.clone() for k, v in own.items()},
        "optimisers": [o.state_dict() for o in trainer.optimisers_for(network, TINY, "cpu")],
        "step": 3,
        "elapsed": 1.0,
        "minutes": None,
        "loss_sum": torch.zeros(()),
        "losses": 0,
        "name": "prior",
        "key": "k",
        "photos": (4, 1),
        "started_from": None,
    }
    return {**state, **changed}


def spoilt(network: dict[str, Any]) -> dict[str, Any]:
    return {k: torch.full_like(v, math.nan) for k, v in network.items()}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in checkpoint().items() if name != key}


WRONG_CHECKPOINTS: dict[str, Callable[[], Any]] = {
    **{f"no {key}": lambda key=key: without(key) for key in sorted(Checkpoint.__required_keys__)},
    "a list": lambda: [1, 2],
    "a tensor": lambda: torch.zeros(3),
    "step of text": lambda: checkpoint(step="3"),
    "step below 0": lambda: checkpoint(step=-1),
    "elapsed infinite": lambda: checkpoint(elapsed=math.inf),
    "minutes NaN": lambda: checkpoint(minutes=math.nan),
    "one photo": lambda: checkpoint(photos=[1]),
    "weights of text": lambda: checkpoint(averaged={"a": "b"}),
    "weights NaN": lambda: checkpoint(averaged=spoilt(checkpoint()["averaged"])),
    "another network": lambda: checkpoint(averaged={"a": torch.zeros(2)}),
    "weights missing": lambda: checkpoint(averaged={}),
}


@pytest.mark.parametrize("name", WRONG_CHECKPOINTS)
def test_a_checkpoint_fits_its_schema(tmp_path: Path, name: str) -> None:
    run = Run(tmp_path)
    run.begin(TINY)
    torch.save(WRONG_CHECKPOINTS[name](), run.checkpoint)
    with pytest.raises(RestorekitError, match=r"checkpoint\.pt: .*delete it"):
        export(run)
    assert not run.weights.exists()


@pytest.mark.parametrize("bits", BITS)
def test_a_sound_checkpoint_is_exported(tmp_path: Path, bits: int) -> None:
    run = Run(tmp_path)
    run.begin(dataclasses.replace(TINY, bits=bits))
    run.save(checkpoint())
    rows = b'{"step": 1, "psnr_25": 3.5}', b"\xff", b"[1]", b'{"step": "x"}', b""
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(rows))
    kept = load_file(export(run))
    assert (torch.int8 in {tensor.dtype for tensor in kept.values()}) == (bits == 8)
    assert f"kept in {bits} bits each" in run.card.read_text()
    priors.load(run.weights)
    assert priors.read_metadata(run.weights)["scores"] == {"psnr_25": 3.5}


def test_bad_rows_of_a_log_are_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = ['{"step": 1, "loss": 2.5}', '{"step": 2, "loss": 1.5}']
    bad = [b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"step": "3"}', b'{"step": NaN}', b"null"]
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join([good[0].encode(), *bad, good[1].encode(), b'{"torn']))
    log = Log(Run(tmp_path), 2)
    log.close()
    assert path.read_text().splitlines() == good and log.last["loss"] == 2
    assert "6 rows passed over, the first is line 2" in caplog.text


INDEXES = [b"{", b"[[1]]", b"null", b'[["a", 2.0, 1.0, 0, 8, 8]]', b"[" * 100_000, b"\xff",
           b'[["a", 0.5, 1.0, 0, 100000, 100000]]', b'[["a", 0.5, 1.0, -1, 8, 8]]']  # fmt: skip


@pytest.mark.parametrize("index", INDEXES)
def test_a_bad_cache_is_made_anew(tmp_path: Path, index: bytes) -> None:
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    images.write(tmp_path / "in" / "a.png", images.Photo(pixels))
    how = tmp_path / "in", tmp_path / "cache", (1.0,)
    file, entries = data.build_cache(*how)
    file.with_suffix(".json").write_bytes(index)
    assert data.build_cache(*how) == (file, entries)
    file.write_bytes(b"short")
    assert data.build_cache(*how) == (file, entries)
    assert file.read_bytes() == pixels.tobytes()


def test_rows_and_documents_fit_their_schema(tmp_path: Path) -> None:
    assert state.from_json(b'{"a": 1}', dict[str, int], "x", "mend it") == {"a": 1}
    with pytest.raises(RestorekitError, match=r"x: .*; mend it"):
        state.from_json(b'{"a": "1"}', dict[str, int], "x", "mend it")
    found = state.rows_from(b'{"a": 1}\n\n{"a": 2}\n', dict[str, int], tmp_path)
    assert found == [{"a": 1}, {"a": 2}]
