"""A prior before it is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import files
from ..errors import RestorekitError

if TYPE_CHECKING:
    from ..engine.denoiser import Denoiser


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known of a prior before it is loaded, and how it is. Making one is cheap: it takes
    the head of a file, and no torch.

    Attributes:
        name: what messages, records and reports call it; of one that a plugin offers, the name
            that it is offered under.
        files: whose content decides what it answers. A folder run is done again where they have
            changed, and no run writes over them. None of them: name and `described` decide.
        channels: of the pictures that it knows.
        levels: the least and the largest noise-to-signal ratio sigma_t / alpha_t that it was
            trained at, for pixels on [-1, 1]; None: any.
        halo: how far it sees, in pixels, if all its layers are local; None: all of the picture.
        described: what `restorekit priors show` prints, ready for JSON.
        load: called as load(device, precision), a torch.device and "float32", "bfloat16" or
            "float16". Its further keyword-only parameters, which have defaults, are the prior's
            own options. What it gives need have no more than `engine.denoiser.Denoiser` says; of
            `engine.traits.Traits` it may say more than is said here.
        unfolded: the noise-to-signal ratios, falling, at which it was trained to restore in so many
            steps of the sampler hqs; none, if it was not.
        recipes: a `task.Recipe` for each mode that goes before the task's own, if it has a space
            of its own (see `task.Translated`), where noise levels are not those of pixels.

    Raises:
        RestorekitError: for channels, levels or a halo that can be none.
    """

    name: str
    files: tuple[Path, ...]
    channels: int
    levels: tuple[float, float] | None
    halo: int | None
    described: Mapping[str, Any]
    load: Callable[..., Denoiser]
    unfolded: tuple[float, ...] = ()
    recipes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(map(Path, self.files)))
        wrong = []
        if self.channels < 1:
            wrong.append(f"{self.channels} channels")
        if self.levels is not None and not 0 <= self.levels[0] <= self.levels[1]:
            wrong.append(f"levels from {self.levels[0]:g} to {self.levels[1]:g}")
        if self.halo is not None and self.halo < 0:
            wrong.append(f"a halo of {self.halo}")
        if wrong:
            raise RestorekitError(f"prior {self.name!r} cannot have {' and '.join(wrong)}")

    @property
    def digest(self) -> str:
        """SHA-256 of what it says: of its one file, or of the digests of several."""
        if len(self.files) == 1:
            return files.digest(self.files[0])
        import hashlib  # slow to import

        parts = [files.digest(path) for path in self.files]
        if not parts:
            parts = [self.name, json.dumps(dict(self.described), sort_keys=True, default=str)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
