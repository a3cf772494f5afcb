"""What a training run is made of, its presets, and how both are read and written."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..engine.denoiser import PARAMETRISATIONS
from ..engine.losses import OBJECTIVES
from ..engine.schedule import SCHEDULES
from ..engine.unet import UNetConfig
from ..errors import RestorekitError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Settings:
    """Everything that decides the outcome of a training run.

    Attributes:
        network: the U-Net.
        schedule, parametrisation, objective: names of the engine's.
        sigma_data: standard deviation of the pixels on [-1, 1].
        noise: noise-to-signal ratios, log-uniform from the first to the second with the
            probability `focus`, else from the second to the third; empty draws the times
            uniformly from the schedule's grid instead, as the bound wants them.
        crop: side of the training crops, pixels.
        scales: the photos are also seen reduced by these factors (area averaging).
        grey: share of crops turned grey, so that the prior knows black-and-white photos.
        rotate: quarter turns besides the flips.
        held_out: share of files kept for validation.
        batch: crops a step, over all processes.
        steps: length of the run; a time budget replaces it.
        rate, betas, weight_decay, warmup, clip: AdamW, linear warm-up, then cosine to zero.
        ema: decay of the exponential moving average of the weights.
        precision: "bfloat16" trains under autocast, "float32" without.
        seed: of the weights, the crops and the noise.
    """

    network: UNetConfig = field(default_factory=UNetConfig)
    schedule: str = "linear"
    parametrisation: str = "v"
    objective: str = "v"
    sigma_data: float = 0.5
    noise: tuple[float, ...] = (0.01, 1.2, 150.0)
    focus: float = 0.85
    crop: int = 64
    scales: tuple[float, ...] = (1.0, 0.75, 0.5)
    grey: float = 0.1
    rotate: bool = True
    held_out: float = 0.03
    batch: int = 16
    steps: int = 50_000
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup: int = 500
    clip: float = 1.0
    ema: float = 0.999
    precision: str = "bfloat16"
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Settings:
        """Raises RestorekitError for an unknown or impossible setting."""
        values = dict(values)
        try:
            network = values.pop("network", None)
            if isinstance(network, dict):
                network = UNetConfig(**network)
            for name in ("noise", "scales", "betas"):
                if name in values:
                    values[name] = tuple(values[name])
            settings = cls(network=network or UNetConfig(), **values)
        except (TypeError, ValueError) as error:
            raise RestorekitError(f"training settings: {error}") from error
        settings.check()
        return settings

    def check(self) -> None:
        """Raises RestorekitError where a value cannot work."""
        known: tuple[tuple[str, str, Any], ...] = (
            ("schedule", self.schedule, SCHEDULES),
            ("parametrisation", self.parametrisation, PARAMETRISATIONS),
            ("objective", self.objective, OBJECTIVES),
            ("precision", self.precision, ("float32", "bfloat16")),
        )
        for name, value, choices in known:
            if value not in choices:
                raise RestorekitError(f"{name} {value!r} is unknown; use {', '.join(choices)}")
        if self.objective in ("vlb", "hybrid") and not self.network.learned_variance:
            raise RestorekitError(f"objective {self.objective!r} needs learned_variance = true")
        if self.objective in ("vlb", "hybrid") and self.noise:
            raise RestorekitError(f"objective {self.objective!r} needs noise = [] (grid times)")
        if len(self.noise) not in (0, 3) or list(self.noise) != sorted(set(self.noise)):
            raise RestorekitError("noise must be three rising numbers, or [] for grid times")
        for name in ("batch", "steps", "crop", "rate", "sigma_data", "focus"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or value <= 0:
                raise RestorekitError(f"{name} must be a number above 0, not {value!r}")
        if self.crop % self.network.multiple:
            raise RestorekitError(f"crop must be a multiple of {self.network.multiple}")


PRESETS: dict[str, Settings] = {
    "photo": Settings(),
    "photo-tiny": Settings(
        network=UNetConfig(widths=(16, 32, 64), blocks=1), batch=8, crop=48, rate=2e-3
    ),
    "scene64": Settings(
        network=UNetConfig(
            widths=(64, 128, 192, 256), attention=(2, 3), norm=True, learned_variance=True
        ),
        schedule="cosine",
        parametrisation="eps",
        objective="hybrid",
        noise=(),
        scales=(1.0,),
        grey=0.0,
        rotate=False,
        rate=3e-4,
        ema=0.9995,
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
            overlay = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RestorekitError(f"{file}: {error}; expected a TOML file of settings") from error
        values["network"] |= overlay.pop("network", {})
        values |= overlay
    for key, value in changes.items():
        if key.startswith("network."):
            values["network"][key.removeprefix("network.")] = value
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
        key, _, text = change.partition("=")
        try:
            parsed[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except ValueError as error:
            if not text.replace("_", "").isalnum():
                raise RestorekitError(f"--set {change}: write KEY=VALUE, as in batch=8") from error
            parsed[key.strip()] = text  # a bare word, as in objective=hybrid
    return parsed
