"""What a restoration runs on, found by name: a device, and a prior's weights."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import files, plugins
from .errors import RestorekitError
from .guard import reason
from .priors import OF_RUN, Prior, imported
from .priors.weights import REMEDY

if TYPE_CHECKING:
    import torch

    from .engine.denoiser import Denoiser
    from .engine.traits import Known

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]  # of a file: when it was written, its bytes, and its number


def find_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one.

    Raises:
        RestorekitError: if it is not there.
    """
    import torch

    cuda = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if cuda else "cpu"
    if name == "cuda" and (own := os.environ.get("LOCAL_RANK")):  # torchrun's
        name = f"cuda:{own}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RestorekitError(f"device {name!r} is unknown; use auto, cpu or cuda") from error
    missing = (
        device.type == "cuda" and (not cuda or (device.index or 0) >= torch.cuda.device_count())
    ) or (device.type == "mps" and not torch.backends.mps.is_available())
    if missing:
        raise RestorekitError(f"device {name!r} is not available here; use --device cpu")
    if device.type not in ("cpu", "cuda", "mps"):
        raise RestorekitError(f"device {name!r} is not supported; use cpu, cuda or mps")
    return device


def find_precision(name: str, device: torch.device) -> str:
    """The precision of a name; "auto" is bfloat16 where it is computed natively, else float32.

    It is at least twice as fast there, and costs 0.01 dB.
    """
    if name != "auto":
        return name
    from .engine.precision import has_bfloat16

    if not has_bfloat16(device):
        return "float32"
    _tell_of_bfloat16()
    return "bfloat16"


@functools.cache
def _tell_of_bfloat16() -> None:
    """Says so once."""
    log.warning("computing in bfloat16; --precision float32 takes twice as long")


def offered_priors() -> dict[str, Path | Prior]:
    """All priors by name, the plugins' and those that the user has imported."""
    return imported() | plugins.registry().offered("prior")


def find_prior(given: str | Prior) -> Prior:
    """The prior of a name or at a path: of a weights file, a training run's folder, or whatever
    else a plugin opens. One that is a prior already is found.

    Raises:
        RestorekitError: if there is none of that name, or at a path nothing that a plugin knows.
    """
    if isinstance(given, Prior):
        return given
    offered = offered_priors()
    if given in offered:
        found = offered[given]
        return found if isinstance(found, Prior) else prior_at(found)
    if not given:
        raise RestorekitError("the prior's name is empty; leave --prior out for the default")
    path = Path(given)
    if path.suffix or len(path.parts) > 1 or is_there(path):
        return prior_at(path)
    known = ", ".join(sorted(offered)) or "none is installed"
    raise RestorekitError(f"prior {given!r} is unknown; use {known}, a weights file or a run")


def prior_at(path: Path) -> Prior:
    """What lies at a path, opened once while it stays as it is.

    Raises:
        RestorekitError: if there is nothing, or nothing that a plugin knows.
    """
    if is_there(path / OF_RUN):
        path = path / OF_RUN
    if is_there(path) and path.is_dir():
        return _opened(plugins.registry(), path, stamps_of(sorted(path.rglob("*"))))
    try:
        with files.opened(path):
            pass
    except RestorekitError as error:
        raise RestorekitError(f"{error}; {REMEDY}") from error
    return _opened(plugins.registry(), path, stamps_of([path]))


def is_there(path: Path) -> bool:
    """Whether there is anything, under a name that no file can have as well."""
    with contextlib.suppress(OSError, ValueError):
        return path.exists()
    return False


@functools.lru_cache(maxsize=32)
def _opened(registry: plugins.Registry, path: Path, stamps: tuple[Stamp, ...]) -> Prior:
    return registry.open_prior(path)


def stamps_of(paths: Iterable[Path]) -> tuple[Stamp, ...]:
    """When files were last written, how long and which they are; zeros where there are none."""
    stamps = []
    for path in paths:
        stamps.append((0, 0, 0))
        with contextlib.suppress(OSError, ValueError):
            found = path.stat()
            stamps[-1] = found.st_mtime_ns, found.st_size, found.st_ino
    return tuple(stamps)


def load_prior(
    prior: Prior, device: torch.device, precision: str, options: Mapping[str, Any] = {}
) -> Known:
    """A prior's denoiser, loaded once while its files stay as they are.

    Args:
        options: the prior's own, by name.

    Raises:
        RestorekitError: if it cannot be loaded.
    """
    chosen = tuple(sorted(options.items()))
    return _loaded(prior, stamps_of(prior.files), device, precision, chosen)


def of_pixels(denoiser: Denoiser, name: str) -> None:
    """Raises RestorekitError for a denoiser that has a space of its own (see `task.Translated`)."""
    if getattr(denoiser, "translate", None) is not None:
        raise RestorekitError(
            f"the prior {name!r} has a space of its own, and cannot be asked about pixels; "
            "use another"
        )


@functools.lru_cache(maxsize=3)
def _loaded(
    prior: Prior,
    stamps: tuple[Stamp, ...],
    device: torch.device,
    precision: str,
    options: tuple[tuple[str, Any], ...],
) -> Known:
    from .engine.traits import Known, Traits

    stated = Traits(halo=prior.halo, channels=prior.channels)
    if prior.levels is not None:
        stated.heard = prior.levels
    try:
        return Known(prior.load(device, precision, **dict(options)), stated)
    except RestorekitError:
        raise
    except Exception as error:  # a plugin's, say
        why = reason(error)
        raise RestorekitError(
            f"prior {prior.name!r} cannot be loaded ({why}); use another, or see --debug"
        ) from error
