"""A training of a second, and its command."""

from __future__ import annotations

import json
from pathlib import Path

from restorekit.engine.unet import UNetConfig
from restorekit.training.card import as_toml
from restorekit.training.settings import Settings

TINY = Settings(
    network=UNetConfig(widths=(8, 16), blocks=1),
    crop=32,
    batch=4,
    scales=(1.0, 0.5),
    held_out=0.0,
    steps=6,
    warmup=0,
    precision="float32",
)


def command(run: Path, photos: Path, *more: str) -> list[str]:
    """`train` with TINY's settings, as arguments for Python."""
    run.mkdir(exist_ok=True)
    config = run.with_suffix(".toml")
    config.write_text(as_toml(TINY))
    fixed = ["-m", "restorekit", "train", str(photos), "-o", str(run), "--config", str(config)]
    return [*fixed, "--device", "cpu", *more]


def losses_of(run: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows if "loss" in row]
