"""Cases for the gate of states."""

from __future__ import annotations

import json
import math
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from restorekit import images, priors
from restorekit.engine.unet import UNet, UNetConfig
from restorekit.errors import RestorekitError
from restorekit.tensors import narrowed
from restorekit.training.run import Log, Run
from restorekit.training.settings import Settings

from . import Case, Ended, Fell, must, restorekit

TINY = Settings(network=UNetConfig(widths=(4, 6), blocks=1), precision="float32")
JUNK: tuple[Any, ...] = (None, True, -1, 0, 1e308, 10**30, "3", "", [], [[1]], {}, {"a": {}}, "\0")
NUMBERS = ("nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "1" + "0" * 400, "0x1p9", "")


def photo(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    grey = np.full((16, 16, 3), 90, dtype=np.uint8)
    images.write(path, images.Photo(grey))
    return path


def told() -> dict[str, Any]:
    own = TINY.as_dict()
    names = ("network", "schedule", "parametrisation", "sigma_data")
    return {"name": "tiny", **{name: own[name] for name in names}, "training": own}


def weights(rng: random.Random) -> dict[str, torch.Tensor]:
    torch.manual_seed(rng.randrange(1000))
    made = {k: 0.1 * torch.randn_like(v) for k, v in UNet(TINY.network).state_dict().items()}
    return narrowed(made) if rng.random() < 0.5 else made


def serialised(tensors: dict[str, torch.Tensor], described: Any) -> bytes:
    return save(tensors, {priors.KEY: json.dumps(described)})


def spoilt(rng: random.Random, value: Any) -> Any:
    """JSON with something in it of another type, missing, or one thing too many."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key, kind = rng.choice(list(value)), rng.random()
        if kind < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if kind < 0.15:
            return {**value, f"{key}?": rng.choice(JUNK)}
        return {**value, key: spoilt(rng, value[key])}
    if isinstance(value, list | tuple) and value and rng.random() < 0.5:
        at = rng.randrange(len(value))
        return [*value[:at], spoilt(rng, value[at]), *value[at + 1 :]]
    return rng.choice(JUNK)


def mangled(rng: random.Random, content: bytes) -> bytes:
    """Bytes cut, changed, nested without end, or of another alphabet."""
    at = rng.randrange(len(content) + 1)
    return rng.choice(
        (
            content[:at],
            content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :],
            content[:at] + b"[" * 100_000 + content[at:],
            b"\xff\xfe" + content,
            b"",
        )
    )


def told_in_words(ended: Ended) -> None:
    must("Traceback" not in ended.err, ended.err)
    must(ended.code == 0 or ended.err.strip(), f"exit {ended.code} without a word")


def used(prior: Path) -> Ended:
    """A prior in use: what it makes is a picture, or there is none."""
    source = photo(prior.parent / "photos" / "a.png")
    output = prior.parent / "out.png"
    how = ("--sigma", "25", "--prior", prior, "-o", output)
    ended = restorekit("denoise", source, *how)
    must(output.exists() == (ended.code == 0), f"exit {ended.code}, and the output?")
    told_in_words(ended)
    return ended


def a_prior_described_wrongly(rng: random.Random, folder: Path) -> None:
    file = folder / "p.safetensors"
    file.write_bytes(serialised(weights(rng), spoilt(rng, told())))
    used(file)


def a_prior_of_mangled_bytes(rng: random.Random, folder: Path) -> None:
    whole = serialised(weights(rng), told())
    length = struct.unpack("<Q", whole[:8])[0]
    cut = 8 + length if rng.random() < 0.8 else len(whole)
    file = folder / "p.safetensors"
    head = mangled(rng, whole[8:cut])
    size = len(head) if rng.random() < 0.7 else rng.randrange(2**64)
    file.write_bytes(struct.pack("<Q", size) + head + whole[cut:])
    used(file)


def a_prior_with_other_tensors(rng: random.Random, folder: Path) -> None:
    tensors = weights(rng)
    name = rng.choice(list(tensors))
    kind = rng.randrange(4)
    if kind == 0:
        del tensors[name]
    elif kind == 1:
        tensors[f"{name}.more"] = torch.zeros(rng.randrange(1, 9))
    elif kind == 2:
        tensors[name] = torch.zeros(*tensors[name].shape, 2)
    else:
        tensors[name] = tensors[name].to(torch.int16)
    file = folder / "p.safetensors"
    file.write_bytes(serialised(tensors, told()))
    must(used(file).code == 1, f"{name}: was taken")


def a_prior_that_is_not_finite(rng: random.Random, folder: Path) -> None:
    tensors = weights(rng)
    name = rng.choice(list(tensors))
    at = rng.randrange(tensors[name].numel())
    tensors[name].view(-1)[at] = rng.choice((math.nan, math.inf, -math.inf))
    file = folder / "p.safetensors"
    file.write_bytes(serialised(tensors, told()))
    must(used(file).code == 1, f"{name}[{at}]: NaN or infinity was taken")


def checkpoint(rng: random.Random) -> dict[str, Any]:
    own = weights(rng)
    facts = {"step": 3, "elapsed": 1.0, "minutes": None, "losses": 0, "name": "prior", "key": "k"}
    many = {"network": own, "averaged": own, "optimisers": [], "loss_sum": torch.zeros(())}
    return {**facts, **many, "photos": (4, 1), "started_from": None}


def a_run_with_a_spoilt_checkpoint(rng: random.Random, folder: Path) -> None:
    run = Run(folder / "run")
    run.folder.mkdir()
    run.begin(TINY)
    torch.save(spoilt(rng, checkpoint(rng)), run.checkpoint)
    if rng.random() < 0.3:
        run.checkpoint.write_bytes(mangled(rng, run.checkpoint.read_bytes()))
    ended = restorekit("train", "-o", run.folder, "--export")
    told_in_words(ended)
    must(run.weights.exists() == (ended.code == 0), f"exit {ended.code}, and the weights?")
    if run.weights.exists():
        priors.load(run.weights)


def a_run_with_spoilt_settings(rng: random.Random, folder: Path) -> None:
    run = Run(folder / "run")
    run.folder.mkdir()
    run.begin(TINY)
    torch.save(checkpoint(rng), run.checkpoint)
    file = run.folder / "settings.json"
    text = json.dumps(spoilt(rng, json.loads(file.read_text()))).encode()
    file.write_bytes(text if rng.random() < 0.7 else mangled(rng, text))
    told_in_words(restorekit("train", "-o", run.folder, "--export"))


def a_log_of_anything(rng: random.Random, folder: Path) -> None:
    rows = [json.dumps({"step": step, "loss": 1.5}).encode() for step in range(20)]
    good = rng.sample(range(20), 10)
    mixed = [
        row if step in good else mangled(rng, json.dumps(spoilt(rng, {"step": 1})).encode()[:-1])
        for step, row in enumerate(rows)
    ]
    run = Run(folder)
    (folder / "log.jsonl").write_bytes(b"\n".join(mixed) + b"\n")
    Log(run, 100).close()
    kept = (folder / "log.jsonl").read_bytes().splitlines()
    must(all(rows[step] in kept for step in good), "a good row was lost")
    run.last_scores("psnr_25")


def a_cache_with_a_spoilt_index(rng: random.Random, folder: Path) -> None:
    from restorekit.training.data import build_cache

    photo(folder / "photos" / "a.png")
    how = folder / "photos", folder / "cache", (1.0, 0.5)
    pixels, entries = build_cache(*how)
    index = pixels.with_suffix(".json")
    if rng.random() < 0.2:
        pixels.write_bytes(pixels.read_bytes()[: rng.randrange(900)])
    elif rng.random() < 0.5:
        index.write_bytes(mangled(rng, index.read_bytes()))
    else:
        index.write_text(json.dumps(spoilt(rng, json.loads(index.read_text()))))
    again, found = build_cache(*how)
    must(again.stat().st_size == max(e.end for e in found), "an index beyond its pixels")
    must(all(e.height * e.width for e in found) and len(found) <= len(entries), "of other photos")


def an_option_that_is_no_number(rng: random.Random, folder: Path) -> None:
    source, output = photo(folder / "photos" / "a.png"), folder / "out.png"
    task, option = rng.choice(
        (
            ("superres", "--scale"),
            ("denoise", "--sigma"),
            ("denoise", "--strength"),
            ("denoise", "--max-megapixels"),
            ("denoise", "--steps"),
            ("denoise", "--samples"),
            ("denoise", "--tile"),
            ("denoise", "--quality"),
        )
    )
    number = rng.choice(NUMBERS)
    if (option, number) in (("--sigma", "1e-320"), ("--strength", "1e-320")):
        return  # as good as 0, and right
    ended = restorekit(task, source, "-o", output, f"{option}={number}")
    told_in_words(ended)
    must(ended.code in (1, 2), f"{option}={number}: exit {ended.code}")
    must(not output.exists(), f"{option}={number}: written all the same")


def a_training_that_is_no_number(rng: random.Random, folder: Path) -> None:
    photo(folder / "photos" / "a.png")
    names = [name for name, value in TINY.as_dict().items() if isinstance(value, int | float)]
    number = rng.choice(NUMBERS[:5])
    option = rng.choice(
        (
            ("--time-budget", number),
            ("--save-every", number),
            ("--validate-every", number),
            ("--set", f"{rng.choice(names)}={number}"),
            ("--set", f"network.widths=[{number}]"),
        )
    )
    ended = restorekit("train", folder / "photos", "-o", folder / "run", "=".join(option))
    told_in_words(ended)
    must(ended.code in (1, 2), f"{option}: exit {ended.code}")
    must(not (folder / "run").exists(), f"{option}: left a run behind")


def an_array_of_anything(rng: random.Random, folder: Path) -> None:
    from restorekit import restore

    prior = folder / "p.safetensors"
    prior.write_bytes(serialised(weights(rng), told()))
    kinds = (">u2", "<u2", ">f4", ">f8", "f2", "u1", ">i4", "i8", "c8", "?", "O", "S3", "M8[s]")
    kind = np.dtype(rng.choice(kinds))
    array = np.random.default_rng(rng.randrange(99)).integers(0, 2, (9, 9, 3)).astype("i8")
    array = array.astype(kind)
    if kind.kind == "f" and rng.random() < 0.7:
        array[rng.randrange(9), 0, 0] = rng.choice(
            (-np.finfo(kind).max, np.finfo(kind).max, math.nan, math.inf, 60000.0)
        )
    choices = {"steps": rng.choice((None, 1, "3", 2.5, np.int8(1), 10**9, [1]))}
    try:
        found = restore("denoise", array, sigma=0.1, prior=prior, **choices)
    except RestorekitError:
        return
    must(found.dtype == kind and found.shape == array.shape, f"{kind} came back as {found.dtype}")
    if not np.isfinite(found.astype(np.float64)).all():
        raise Fell(f"{kind}: pixels that are not finite")


CASES: list[Case] = [
    a_prior_described_wrongly,
    a_prior_of_mangled_bytes,
    a_prior_with_other_tensors,
    a_prior_that_is_not_finite,
    a_run_with_a_spoilt_checkpoint,
    a_run_with_spoilt_settings,
    a_log_of_anything,
    a_cache_with_a_spoilt_index,
    an_option_that_is_no_number,
    a_training_that_is_no_number,
    an_array_of_anything,
]
