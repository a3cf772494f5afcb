"""The gate of states for calls from Python: what is wrong is refused in words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import restorekit
from restorekit import images
from restorekit.engine.noise import Noise
from restorekit.errors import RestorekitError

from .commands import run, save
from .weights import prior

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
