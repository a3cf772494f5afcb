"""`restorekit.restore`: the same hallway for arrays, tensors and single files."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import chain, chain_text, diagnosis, files, images, plugins
from .choices import Choices
from .engine.sampler import Progress
from .errors import RestorekitError
from .given import resolve
from .priors import Prior
from .result import Result
from .shot import Shot

log = logging.getLogger(__name__)

Image = Any  # np.ndarray | torch.Tensor | str | os.PathLike


def restore(
    task: str | Sequence[str | chain_text.Step],
    image: Image = None,
    *,
    mode: str = "fidelity",
    method: str | None = None,
    sampler: str | None = None,
    steps: int | None = None,
    prior: str | os.PathLike[str] | Prior | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "float32",
    ensemble: bool = False,
    tile: int | None = None,
    travel: tuple[int, int] | None = None,
    tuning: Mapping[str, Any] | None = None,
    effort: str = "normal",
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    provenance: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> Image:
    """Restores a picture, with the command line's defaults.

    Threads may call it at the same time. A process that is forked from one that has used it works
    with one thread of OpenMP, as the others do not survive a fork; start processes with "spawn",
    or call `torch.set_num_threads` in them, to use more.

    Args:
        task: "denoise", "inpaint", "superres", "generate", or what a plugin adds; or several, done
            one after the other without rounding in between: ["dejpeg", ("superres", {"scale": 2})],
            or as text, "dejpeg | superres scale=2".
        image: a NumPy array (H, W, 3), (H, W) or, with alpha, (H, W, 4), in any byte order; a
            tensor (B, C, H, W); or the path of a file. uint8 and uint16 use their whole range;
            floats are on [0, 1] and may exceed it, as unclipped noise does. None for a task that
            takes no photo.
        mode, method, sampler, steps, prior, seed, device, precision, ensemble, tile, travel,
            effort: see `Choices`.
        tuning: options of the method, the sampler or the prior, as {"eta": 0.5}; `restorekit
            methods` and `restorekit samplers` list them.
        output: where to write the restored file, if `image` is a path.
        overwrite: whether a file that is there already may be replaced.
        provenance: whether the file's XMP says what made it.
        progress: called with (steps done, in all), where a large picture is evaluated in tiles
            with fractions of a step too; returning False raises `engine.sampler.Cancelled`.
        options: the task's own, for instance `sigma=25 / 255` or `scale=2`; noise levels are on
            the scale of [0, 1].

    Returns:
        The restored picture: same type, layout and range as `image`; with three channels instead
        of one where the task gives colour. For a path its pixels at
        the file's own depth or, with `output`, the path written.

    Raises:
        RestorekitError: for anything that cannot be restored so; the message has the remedy.
    """
    weights = os.fspath(prior) if isinstance(prior, os.PathLike) else prior
    choices = Choices(
        mode,
        method,
        sampler,
        steps,
        weights,
        seed,
        device,
        precision,
        ensemble,
        tile,
        travel,
        tuning or {},
        effort,
    )
    if isinstance(task, str) and not set(task) & set("| ="):
        found = plugins.registry().task(task)
        plan = chain.alone(found, choices, resolve(found, options))
    else:
        plan = chain_text.of(task, choices)
        if options:
            raise RestorekitError(f"a chain's options go with its tasks, not {sorted(options)[0]}=")
    restoring = plan.opened()

    def run(shot: Shot) -> Result:
        return restoring(shot, progress=progress, expected=expected)

    def expected(size: tuple[int, int]) -> None:
        if output is not None:
            images.check_size(output, size)

    if output is not None and not isinstance(image, str | os.PathLike):
        raise RestorekitError("output needs the path of a file as image")
    if image is None:
        if plan.takes_photo:
            raise RestorekitError(f"{plan.name} needs a picture")
        return run(Shot.nothing()).pixels
    if isinstance(image, str | os.PathLike):
        source, target = Path(image), None if output is None else Path(output)
        with files.guarded([source, *plan.reads(source.name), *restoring.priors]):
            return _path(source, target, overwrite, provenance, run)
    if isinstance(image, torch.Tensor):
        return _tensor(image, run)
    if isinstance(image, np.ndarray):
        return _array(image, run, "")
    raise RestorekitError(f"cannot restore a {type(image).__name__}; give an array or a path")


def diagnose(image: Image) -> diagnosis.Diagnosis:
    """What is wrong with a picture, and what would mend it.

    Args:
        image: an array (H, W, 3), (H, W) or (H, W, 4) as `restore` takes it, or the path of a file,
            of which more can be told.

    Returns:
        Its `found` has all findings; `restore(diagnosis.steps(), image)` mends them, where there
        are any.

    Raises:
        RestorekitError: for what is no picture.
    """
    if isinstance(image, str | os.PathLike):
        photo = images.read(Path(image))
        return diagnosis.diagnosed(Shot.of(photo, Path(image).name))
    if not isinstance(image, np.ndarray):
        raise RestorekitError(f"cannot diagnose a {type(image).__name__}; give an array or a path")
    found: list[diagnosis.Diagnosis] = []

    def run(shot: Shot) -> Result:
        found.append(diagnosis.diagnosed(shot))
        return Result(shot.pixels, shot.alpha, 0, 0.0)

    _array(image, run, "")
    return found[0]


Run = Callable[[Shot], Result]


def _path(
    source: Path, target: Path | None, overwrite: bool, stamp: bool, run: Run
) -> np.ndarray | Path:
    photo = images.read(source)
    if target is not None:
        if os.path.lexists(target) and not overwrite:
            raise RestorekitError(f"{target}: exists; name another output, or overwrite=True")
        images.check_writable(target, photo)
    result = run(Shot.of(photo, source.name))
    if target is None:
        pixels: np.ndarray = result.pixels
        return pixels
    if result.leaves(photo) and images.copy(target, photo, replace=overwrite):
        return target
    images.write(target, result.of(photo, stamp), replace=overwrite)
    for note in images.left_out(target, photo):
        log.warning("%s: %s", target, note)
    return target


def _array(array: np.ndarray, run: Run, name: str) -> np.ndarray:
    """Any of the layouts and types, through (H, W, C), and back."""
    kind = array.dtype
    array = array.astype(kind.newbyteorder("="), copy=False)  # big-endian ones of FITS, say
    known = array.dtype in (np.uint8, np.uint16) or kind.kind == "f"
    if not known or array.ndim not in (2, 3) or array.size == 0:
        raise RestorekitError(
            f"cannot restore an array of shape {array.shape} and type {array.dtype}; "
            "give (H, W, 3) or (H, W) of uint8, uint16 or float on [0, 1]"
        )
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.shape[2] not in (1, 2, 3, 4):
        raise RestorekitError(f"an array of shape {array.shape} has no known channel layout")
    if kind.kind == "f" and not np.isfinite(array).all():
        raise RestorekitError("the array holds NaN or infinity; replace those values first")
    alpha = None
    if pixels.shape[2] in (2, 4):
        pixels, alpha = pixels[..., :-1], pixels[..., -1]
    result = run(Shot(pixels, alpha, name))
    restored: np.ndarray = result.pixels
    if result.alpha is not None:
        restored = np.concatenate([restored, result.alpha[..., None]], axis=2)
    flat = array.ndim == 2 and restored.shape[2] == 1  # colour may have been added
    return (restored[..., 0] if flat else restored).astype(kind, copy=False)


def _tensor(batch: torch.Tensor, run: Run) -> torch.Tensor:
    if batch.ndim != 4 or batch.shape[1] not in (1, 3) or batch.numel() == 0:
        shape = tuple(batch.shape)
        raise RestorekitError(f"cannot restore a tensor of shape {shape}; give (B, 3 or 1, H, W)")
    kind = batch.dtype
    single = batch.detach().cpu()
    single = single.float() if kind in (torch.float16, torch.bfloat16) else single
    restored = [
        _array(np.ascontiguousarray(x.permute(1, 2, 0).numpy()), run, "" if i == 0 else str(i))
        for i, x in enumerate(single)
    ]
    stacked = torch.from_numpy(np.stack(restored)).permute(0, 3, 1, 2).contiguous()
    return stacked.to(device=batch.device, dtype=kind)
