"""What every task leaves to its user."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from . import state
from .priors import Prior

EFFORTS = ("low", "normal", "high")
PRECISIONS = ("float32", "bfloat16", "float16", "auto")


@dataclass(frozen=True)
class Choices:
    """What every task lets the user choose; None leaves it to the task's recipe.

    Attributes:
        mode: "fidelity" (deterministic, best PSNR) or "perceptual" (a posterior sample).
        method, sampler, prior: names among the plugins; a prior may also be the path of a weights
            file or folder, or a `Prior`, and None is the task's own.
        steps: steps of the sampler.
        travel: (length, repeats) of time travel: each stretch of so many steps is walked so often;
            (1, 1) is none.
        tuning: options of the method, the sampler and the prior, by name; of `parameters`.
        seed: of everything random.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        precision: of the network: float32, bfloat16 or float16; auto is bfloat16 where the device
            has units for it.
        tile: side of the tiles or windows that large photos are evaluated in; None: from the free
            memory, or what the prior was trained on.
        effort: "low" is half the time or less, for a little quality, as the recipe has it;
            "high" means `ensemble`.
        ensemble: ask the prior about every flip and quarter turn that it was trained on, and take
            the mean.
    """

    mode: str = "fidelity"
    method: str | None = None
    sampler: str | None = None
    steps: int | None = None
    prior: str | Prior | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "float32"
    ensemble: bool = False
    tile: int | None = None
    travel: tuple[int, int] | None = None
    tuning: Mapping[str, Any] = field(default_factory=dict)
    effort: str = "normal"

    def __post_init__(self) -> None:
        """Raises RestorekitError for a value of another type."""
        kinds: dict[str, Any] = get_type_hints(type(self)) | {"prior": str | None}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if name in ("steps", "seed", "tile") and not isinstance(value, bool | None):
                with contextlib.suppress(TypeError):  # a NumPy integer is a whole number too
                    value = operator.index(value)
                    object.__setattr__(self, name, value)
            if not isinstance(value, Prior):
                state.fitted(value, kind, f"{name} is {value!r}", "see `restorekit.restore`")
