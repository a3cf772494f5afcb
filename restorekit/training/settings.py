"""What a training run is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..engine.denoiser import PARAMETRISATIONS
from ..engine.losses import OBJECTIVES
from ..engine.schedule import SCHEDULES
from ..engine.unet_config import UNetConfig
from ..errors import RestorekitError
from ..tensors import BITS

OPTIMISERS = ("muon", "adamw")
PRECISIONS = ("auto", "float32", "bfloat16")
# Objectives of networks that are no priors.
SMALL = "damage", "noise_level", "enlargement", "dequantisation"

NUMBER = (int, float)


def whole(least: int, most: int) -> tuple[Any, ...]:
    return (int,), lambda value: least <= value <= most, f"a whole number from {least} to {most}"


_POSITIVE = NUMBER, lambda value: 0 < value <= 1e6, "above 0 and at most 1e6"
_RATE = NUMBER, lambda value: 0 < value <= 10, "above 0 and at most 10"
_WEIGHT = NUMBER, lambda value: 0 <= value <= 1e6, "from 0 to 1e6"
_SHARE = NUMBER, lambda value: 0 <= value <= 1, "from 0 to 1"
_BELOW_1 = NUMBER, lambda value: 0 <= value < 1, "at least 0 and below 1"
_FACTOR = NUMBER, lambda value: 0 < value <= 1, "above 0 and at most 1"
_SWITCH = (bool,), lambda _: True, "true or false"
# What each setting that is no name may be; of several numbers, each.
BOUNDS: dict[str, tuple[tuple[type, ...], Callable[[Any], bool], str]] = {
    **dict.fromkeys(("batch", "accumulate", "crop"), whole(1, 65536)),
    "steps": whole(1, 10**9),
    "warmup": whole(0, 10**9),
    "seed": whole(0, 2**63 - 1),
    "bits": ((int,), lambda value: value in BITS, " or ".join(map(str, BITS))),
    "rate": _RATE,
    **dict.fromkeys(("sigma_data", "noise", "unfold_levels"), _POSITIVE),
    **dict.fromkeys(("weight_decay", "clip"), _WEIGHT),
    **dict.fromkeys(("grey", "faded", "real", "holes", "unfold", "less"), _SHARE),
    **dict.fromkeys(("shuffle", "jitter"), _SHARE),
    **dict.fromkeys(("held_out", "ema", "betas"), _BELOW_1),
    **dict.fromkeys(("focus", "scales"), _FACTOR),
    **dict.fromkeys(("rotate", "compile"), _SWITCH),
}


def table(network: Any) -> dict[str, Any]:
    """The settings of a network. Raises RestorekitError if they are no table."""
    if not isinstance(network, dict):
        raise RestorekitError(
            f"network must be a table of settings, as network.blocks = 3 makes it, not {network!r}"
        )
    return network


@dataclass(frozen=True)
class Settings:
    """Everything that decides the outcome of a training run.

    Attributes:
        network: the U-Net of a prior.
        schedule, parametrisation: names of the engine's.
        objective: the engine's name of a prior's, or what one of the small networks is to find:
            "damage" or "noise_level"; or what it is to mend: "enlargement" or "dequantisation".
            These have their own networks and faults.
        sigma_data: standard deviation of the pixels on [-1, 1].
        noise: four rising noise-to-signal ratios, log-uniform between the middle two with the
            probability `focus`, else between the outer two; empty draws the times uniformly
            from the schedule's grid instead, as the bound wants them.
        crop: side of the training crops, pixels.
        scales: the photos are seen reduced by these factors (area averaging), each as often.
        grey: share of crops turned grey, so that the prior knows black-and-white photos.
        faded: share of crops that are dark, nearly flat or of pure colours, so that it knows these.
        real: share of crops with the noise of cameras, film and files (`photographed`). They are
            told the root mean square of what is to be removed, or anything up to three times that.
        holes: share of the other crops that have holes and no other fault: noise in them, of any
            level, or a first guess. The network is told where (`network.mapped`).
        unfold: share of the crops without any of these faults that are reduced, and restored by the
            network itself up to one of its steps; where there is any, torn crops are too.
        unfold_levels: the noise-to-signal ratio that it is told before each step; these fall.
        less: share of the other crops that have less noise than they are told, a fifth of them
            none, and some only in a part of them. Where there are any, what the prior is told is
            an upper bound.
        rotate: quarter turns besides the flips.
        jitter, shuffle: see `augment.augmented`.
        held_out: share of files kept for validation.
        batch: crops a step, over all processes.
        accumulate: parts that each process takes its share of a batch in, to save memory. A prior's
            loss stays the same; that of damage is weighed within each part.
        compile: compile the network first; gains on GPUs, not on CPUs.
        steps: length of the run; a time budget replaces it.
        optimiser: "muon" (for the convolutions between stem and head; AdamW for the rest) or
            "adamw" for everything.
        rate, betas, weight_decay: peak rate, Adam's decays, decoupled weight decay.
        warmup: steps of linear warm-up, a twentieth of the run at most; then a cosine to zero.
        clip: largest norm of the gradient; 0 leaves it as it is.
        ema: decay of the exponential moving average of the weights.
        precision: "bfloat16" trains under autocast, "float32" without; "auto" takes bfloat16
            where the device has units for it.
        bits: of a weight in the file that is exported, 16 or 8 (see `tensors.narrowed`); scores are
            of the weights before that.
        seed: of the weights, the crops and the noise.
    """

    network: UNetConfig = field(default_factory=UNetConfig)
    schedule: str = "linear"
    parametrisation: str = "v"
    objective: str = "root_v"
    sigma_data: float = 0.5
    noise: tuple[float, ...] = (0.005, 0.03, 0.6, 150.0)
    focus: float = 0.75
    crop: int = 64
    scales: tuple[float, ...] = (1.0, 0.75, 0.5)
    grey: float = 0.1
    faded: float = 0.0
    real: float = 0.0
    holes: float = 0.0
    unfold: float = 0.0
    unfold_levels: tuple[float, ...] = (0.3, 0.175, 0.1, 0.06)
    less: float = 0.0
    rotate: bool = True
    jitter: float = 0.0
    shuffle: float = 0.0
    held_out: float = 0.03
    batch: int = 16
    accumulate: int = 1
    compile: bool = False
    steps: int = 50_000
    optimiser: str = "muon"
    rate: float = 3e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup: int = 500
    clip: float = 1.0
    ema: float = 0.999
    precision: str = "auto"
    bits: int = 16
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Settings:
        """Raises RestorekitError for an unknown or impossible setting."""
        values = dict(values)
        try:
            network = UNetConfig(**table(values.pop("network", {})))
            for name in ("noise", "scales", "betas", "unfold_levels"):
                if name in values:
                    values[name] = tuple(values[name])
            settings = cls(network=network, **values)
        except (TypeError, ValueError) as error:
            raise RestorekitError(f"training settings: {error}") from error
        settings.check()
        return settings

    def check(self) -> None:
        """Raises RestorekitError where a value cannot work."""
        known: tuple[tuple[str, str, Any], ...] = (
            ("schedule", self.schedule, SCHEDULES),
            ("parametrisation", self.parametrisation, PARAMETRISATIONS),
            ("objective", self.objective, (*OBJECTIVES, *SMALL)),
            ("optimiser", self.optimiser, OPTIMISERS),
            ("precision", self.precision, PRECISIONS),
        )
        for name, value, choices in known:
            if not isinstance(value, str) or value not in choices:
                raise RestorekitError(f"{name} {value!r} is unknown; use {', '.join(choices)}")
        if self.objective in ("vlb", "hybrid") and not self.network.learned_variance:
            raise RestorekitError(f"objective {self.objective!r} needs learned_variance = true")
        if self.objective in ("vlb", "hybrid") and self.noise:
            raise RestorekitError(f"objective {self.objective!r} needs noise = [] (grid times)")
        if not self.noise and (self.real or self.less):
            raise RestorekitError("real and less need noise levels; set noise to four numbers")
        mappable = bool(self.noise) and self.objective in ("root_v", "even_v")
        if self.holes and not (self.network.mapped and mappable):
            raise RestorekitError(
                "holes need network.mapped = true, noise levels and the objective root_v or even_v"
            )
        for name, (kinds, fits, wanted) in BOUNDS.items():
            value = getattr(self, name)
            several = value if isinstance(value, tuple) else (value,)
            if not all(type(one) in kinds and fits(one) for one in several):
                raise RestorekitError(f"{name} must be {wanted}, not {value!r}")
        if len(self.noise) not in (0, 4) or list(self.noise) != sorted(set(self.noise)):
            raise RestorekitError("noise must be four rising numbers, or [] for grid times")
        if self.unfold and not mappable:
            raise RestorekitError("unfold needs noise levels and the objective root_v or even_v")
        levels = self.unfold_levels
        if not levels or list(levels) != sorted(set(levels), reverse=True):
            raise RestorekitError("unfold_levels must be falling numbers")
        if not self.scales or len(self.betas) != 2:
            raise RestorekitError("scales must be one number or more, and betas two")
        if self.network.channels != 3:
            raise RestorekitError("network.channels must be 3, as photos have")
        if self.batch % self.accumulate:
            raise RestorekitError(f"batch {self.batch} does not divide by accumulate")
        if self.crop % self.network.multiple:
            raise RestorekitError(f"crop must be a multiple of {self.network.multiple}")
