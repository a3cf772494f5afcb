"""The gate of states: what is stored, and every number that is given, fits its schema."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import restorekit
from restorekit import images, priors, state
from restorekit.engine.noise import Noise
from restorekit.engine.unet import UNetConfig
from restorekit.errors import RestorekitError
from restorekit.options import Number
from restorekit.training import data, presets, trainer
from restorekit.training.export import export
from restorekit.training.run import Checkpoint, Log, Run
from restorekit.training.settings import Settings

from .commands import run, save
from .networks import LOCAL, random_network

CONFIG = LOCAL["three levels"]
DESCRIBED: dict[str, Any] = {
    "name": "tiny",
    "network": {"widths": [4, 6, 8], "blocks": 1},
    "schedule": "linear",
    "parametrisation": "v",
    "sigma_data": 0.5,
    "training": {"less": 0.3, "crop": 64},
}


def weights() -> dict[str, torch.Tensor]:
    return {k: v.half() for k, v in random_network(CONFIG).state_dict().items()}


def prior(path: Path, tensors: dict[str, torch.Tensor] | None = None, **changed: Any) -> Path:
    """A weights file as somebody else may have written it."""
    told = json.dumps(DESCRIBED | changed)
    save_file(weights() if tensors is None else tensors, path, {priors.KEY: told})
    return path


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


@pytest.mark.parametrize(
    "command",
    [
        "train photos -o run --time-budget {}",
        "train photos -o run --save-every {}",
        "train photos -o run --validate-every {}",
        "train photos -o run --set rate={}",
        "train photos -o run --set sigma_data={}",
        "train photos -o run --set weight_decay={}",
        "superres photos/a.png -o out.png --scale {}",
        "denoise photos/a.png -o out.png --strength {}",
        "denoise photos/a.png -o out.png --max-megapixels {}",
        "denoise photos/a.png -o out.png --sigma {}",
        "benchmark inpaint photos --coverage {}",
    ],
)
@pytest.mark.parametrize("number", ["nan", "inf", "1e308"])
def test_no_number_is_endless(
    here: Path, command: str, number: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("photos").mkdir()
    save("photos/a.png", np.full((16, 16, 3), 90, dtype=np.uint8))
    assert run(command.format(number)) in (1, 2)
    assert "internal error" not in capfd.readouterr().err
    assert not Path("run").exists() and not Path("out.png").exists()


@pytest.mark.parametrize("option", ["--steps 1001", "--samples 1001", "--steps 99999999999999999"])
def test_counts_have_a_limit(here: Path, option: str) -> None:
    save("a.png", np.zeros((16, 16, 3), dtype=np.uint8))
    assert run(f"denoise a.png -o out.png --mode perceptual {option}") == 2


def test_times_from_python_are_bounded_too(tmp_path: Path) -> None:
    for how in ({"minutes": math.nan}, {"minutes": 1e308}, {"save_every": math.inf}):
        with pytest.raises(RestorekitError, match=next(iter(how))):
            trainer.train(Settings(), tmp_path, tmp_path / "run", **how)


def test_a_number_is_a_number_for_plugins_too() -> None:
    for value in ("nan", "inf", "-inf"):
        with pytest.raises(click.BadParameter, match="finite"):
            Number().convert(value, None, None)
    assert Number(0, 1).convert("0.5", None, None) == 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": []},
        {"rate": 1e308},
        {"noise": [1, 2, 3, 1e308]},
        {"batch": 10**12},
        {"network.blocks": 10**6},
        {"network.widths": [10**6]},
        {"network.block": []},
        {"network.attention": ["a"]},
        {"network.norm": "yes"},
    ],
)
def test_settings_are_bounded(change: dict[str, Any]) -> None:
    with pytest.raises(RestorekitError):
        presets.read("photo-b", None, change)


def test_settings_nested_without_end_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("a = " + "[" * 100_000)
    with pytest.raises(RestorekitError, match=r"run\.toml"):
        presets.read("photo-b", file, {})
    with pytest.raises(RestorekitError, match="KEY=VALUE"):
        presets.parse_changes(("rate=" + "[" * 100_000,))


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
        "optimisers": [o.state_dict() for o in trainer.optimisers_for(network, TINY)],
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
    **{f"no {key}": lambda key=key: without(key) for key in Checkpoint.__required_keys__},
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


def test_a_sound_checkpoint_is_exported(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.begin(TINY)
    run.save(checkpoint())
    rows = b'{"step": 1, "psnr_25": 3.5}', b"\xff", b"[1]", b'{"step": "x"}', b""
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(rows))
    assert load_file(export(run))
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


PICTURE = np.random.default_rng(0).random((24, 24, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("picture", "choices"),
    [
        (np.where(PICTURE > 0.9, np.float32(3e38), PICTURE), {}),
        (np.where(PICTURE > 0.9, np.float32(-1e6), PICTURE), {}),
        (PICTURE.astype(np.float64) * 1e300, {}),
        *((PICTURE, {"steps": value}) for value in ("3", 2.5, True, 1001, 0, [3])),
        *((PICTURE, {"seed": value}) for value in ("0", 1.5, None)),
        (PICTURE, {"tile": "64"}),
        (PICTURE, {"mode": 3}),
        (PICTURE, {"method": ["ddnm"]}),
        (PICTURE, {"precision": torch.float16}),
        (PICTURE, {"device": 0}),
        (PICTURE, {"ensemble": "yes"}),
        (PICTURE, {"prior": ""}),
        (PICTURE, {"prior": "x" * 5000}),
        (PICTURE, {"prior": "a\0b.safetensors"}),
    ],
)
def test_the_interface_refuses_in_words(picture: np.ndarray, choices: dict[str, Any]) -> None:
    with pytest.raises(RestorekitError):
        restorekit.restore("denoise", picture, sigma=0.1, **choices)


@pytest.mark.parametrize("kind", [">u2", ">f4", ">f8"])
def test_the_byte_order_makes_no_difference(tmp_path: Path, kind: str) -> None:
    how: dict[str, Any] = {"sigma": 0.1, "prior": prior(tmp_path / "p.safetensors")}
    scaled = (PICTURE * 60000).astype(kind) if kind == ">u2" else PICTURE.astype(kind)
    found = restorekit.restore("denoise", scaled, **how)
    native = restorekit.restore("denoise", scaled.astype(scaled.dtype.newbyteorder("=")), **how)
    assert found.dtype == np.dtype(kind) and np.array_equal(found, native)
    assert np.array_equal(
        native, restorekit.restore("denoise", scaled, seed=np.int64(0), steps=np.int32(1), **how)
    )


FORKED = """
import os, sys, torch, numpy as np, restorekit
torch.set_num_threads(2)
photo = np.random.default_rng(0).random((200, 200, 3)).astype(np.float32)
how = {"sigma": 0.1, "prior": sys.argv[1]}
mine = restorekit.restore("denoise", photo, **how)
child = os.fork()
if not child:
    own = restorekit.restore("denoise", photo, **how)
    os._exit(0 if np.allclose(own, mine, atol=1e-4) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_does_not_hang(tmp_path: Path) -> None:
    file = prior(tmp_path / "p.safetensors")
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", FORKED, str(file)]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()


def test_a_sample_depends_on_the_photos_own_name_alone(here: Path) -> None:
    prior(here / "p.safetensors")
    Path("in/sub").mkdir(parents=True)
    save("in/sub/a.png", (PICTURE * 255).astype(np.uint8))
    how = "--sigma 25 --mode perceptual --prior p.safetensors --quiet"
    for given, output in (("in", "one"), ("in/sub", "two"), ("in/sub/a.png", "three.png")):
        assert run(f"denoise {given} -o {output} {how}") == 0
    found = [images.read(p).pixels for p in ("one/sub/a.png", "two/a.png", "three.png")]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
    assert not torch.equal(Noise(0, "a").normal((9,)), Noise(0, "b").normal((9,)))


def test_rows_and_documents_fit_their_schema(tmp_path: Path) -> None:
    assert state.from_json(b'{"a": 1}', dict[str, int], "x", "mend it") == {"a": 1}
    with pytest.raises(RestorekitError, match=r"x: .*; mend it"):
        state.from_json(b'{"a": "1"}', dict[str, int], "x", "mend it")
    found = state.rows_from(b'{"a": 1}\n\n{"a": 2}\n', dict[str, int], tmp_path)
    assert found == [{"a": 1}, {"a": 2}]
