"""Named settings, and how a command line changes them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..engine.unet_config import UNetConfig
from ..errors import RestorekitError
from ..files import text
from .settings import Settings, table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# For photographs as people have them, whose noise nobody knows.
SOUND: dict[str, Any] = {"faded": 0.12, "real": 0.35, "less": 0.3, "crop": 96}

PRESETS: dict[str, Settings] = {
    "photo-b": Settings(**SOUND),
    "photo-s": Settings(network=UNetConfig(widths=(16, 32, 64, 128)), **SOUND),
    "scene64": Settings(
        network=UNetConfig(
            widths=(64, 128, 256),
            blocks=(1, 2, 3),
            attention=(2,),
            norm=True,
            unshuffle=2,
            learned_variance=True,
        ),
        schedule="cosine",
        objective="hybrid",
        bits=8,
        noise=(),
        scales=(1.0,),
        grey=0.0,
        rotate=False,
        batch=32,
        rate=2e-3,
    ),
    "damage": Settings(
        objective="damage",
        bits=8,
        crop=192,
        scales=(1.0, 0.6, 0.35),
        grey=0.0,
        rotate=False,  # faces are upright
        batch=6,
        rate=2e-3,
        warmup=100,
        ema=0.995,
    ),
    "noise_level": Settings(
        objective="noise_level",
        bits=8,
        crop=128,
        faded=0.12,
        batch=12,
        rate=2.5e-3,
        warmup=100,
        ema=0.995,
    ),
    "enlargement": Settings(
        objective="enlargement",
        bits=8,
        crop=192,
        faded=0.08,
        batch=6,
        rate=1e-3,
        weight_decay=0.1,
        warmup=200,
    ),
    "dequantisation": Settings(
        objective="dequantisation",
        bits=8,
        crop=128,
        grey=0.5,
        faded=0.08,
        batch=6,
        rate=1e-3,
        weight_decay=0.1,
        warmup=200,
    ),
    "cifar10": Settings(
        network=UNetConfig(
            widths=(128, 256, 256), blocks=3, attention=(1,), norm=True, learned_variance=True
        ),
        schedule="cosine",
        objective="hybrid",
        noise=(),
        crop=32,
        scales=(1.0,),
        grey=0.0,
        rotate=False,
        batch=128,
        rate=2e-3,
        ema=0.9999,
    ),
}


def read(preset: str, file: Path | None, changes: dict[str, Any]) -> Settings:
    """A preset, overlaid by a TOML file, overlaid by single changes.

    Raises:
        RestorekitError: for an unknown preset, an unreadable file or a wrong setting.
    """
    if preset not in PRESETS:
        raise RestorekitError(f"preset {preset!r} is unknown; use {', '.join(PRESETS)}")
    values = PRESETS[preset].as_dict()
    if file is not None:
        try:
            overlay = tomllib.loads(text(file))
        except (ValueError, RecursionError) as error:
            raise RestorekitError(f"{file}: {error}; expected a TOML file of settings") from error
        values["network"] |= table(overlay.pop("network", {}))
        values |= overlay
    for key, value in changes.items():
        if key.startswith("network."):
            table(values["network"])[key.removeprefix("network.")] = value
        else:
            values[key] = value
    return Settings.from_dict(values)


def parse_changes(changes: tuple[str, ...]) -> dict[str, Any]:
    """Settings from KEY=VALUE, the value as TOML has it; "network." reaches into the network.

    Raises:
        RestorekitError: if one is not of that form.
    """
    parsed: dict[str, Any] = {}
    for change in changes:
        key, _, value = change.partition("=")
        try:
            parsed[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError) as error:
            if not value.replace("_", "").isalnum():
                raise RestorekitError(f"--set {change}: write KEY=VALUE, as in batch=8") from error
            parsed[key.strip()] = value  # a bare word, as in objective=hybrid
    return parsed
