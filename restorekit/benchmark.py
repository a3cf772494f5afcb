"""Degrade clean photos as the literature does, restore them, and score beside a baseline."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import images, metrics, plugins
from .admission import BASELINE
from .engine.noise import Noise
from .errors import RestorekitError
from .given import resolve
from .options import NoiseLevel
from .parameters import flat
from .restorer import Restorer
from .shot import Shot
from .task import Task
from .units import eight_bit

Report = dict[str, Any]


def resolved(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each of a task's options and its trial's; see `resolve`."""
    everything = Task()
    everything.name = task.name
    everything.options = [*task.options, *(task.trial.options if task.trial else ())]
    return resolve(everything, given)


def benchmark(
    restorer: Restorer,
    folder: Path,
    options: dict[str, Any],
    *,
    measures: Mapping[str, metrics.Metric] | None = None,
    luma: bool | None = None,
    crop_border: int | None = None,
    save: Path | None = None,
    each: Callable[[Report], None] | None = None,
    gather: Callable[[Report, Mapping[str, np.ndarray], Path], None] | None = None,
) -> Report:
    """Tries a task on every photo of a folder.

    Args:
        restorer: the task with its choices.
        folder: clean photos.
        options: the task's and its trial's, as `resolved` gives them.
        measures: metrics by name; None for every installed one but those `on_request`.
        luma, crop_border: how to score; by default as the task's literature does.
        save: a folder for the degraded, baseline and restored pictures.
        each: called with each photo's row.
        gather: called with that, its degraded, baseline, restored and clean pictures, and its file.

    Returns:
        The report, ready for JSON: task, options, prior, nfe, images, mean.

    Raises:
        RestorekitError: if the task cannot be tried so, or the folder has no photos.
    """
    task = restorer.task
    trial = task.trial
    if trial is None:
        raise RestorekitError(f"task {task.name!r} has no clean answer to be scored against")
    files = images.below(folder)
    if not files:
        raise RestorekitError(f"{folder}: holds no photos to try the task on")
    if crop_border is None:
        crop_border = math.ceil(options[trial.border]) if trial.border else 0
    how: dict[str, Any] = {"luma": trial.luma if luma is None else luma, "crop_border": crop_border}
    if alone := bool(trial.luma_alone and how["luma"]):
        how["luma"] = False  # it is all there is
    if measures is None:
        measures = metrics.chosen(plugins.registry().offered("metric"))
    shown = {o.name: o.type for o in task.options}
    rows = []
    for file in files:
        name = file.relative_to(folder).as_posix()
        clean = images.read(file).at_depth(np.uint8).pixels  # a grey photo stays grey
        noise = Noise(restorer.choices.seed, name).branch("degradation")
        if alone:
            clean = luma_of(clean)
        reference, given_to, given = trial.degrade(clean, noise, **options)
        with as_read(given_to) as (degraded, source):
            baseline = trial.baseline(degraded, **given)
            result = restorer(Shot(degraded, name=name, source=source), **given)
        restored = eight_bit(result.pixels)
        scores = metrics.score(restored, reference, measures, **how)
        classical = metrics.score(baseline, reference, measures, **how)
        row: Report = {
            "name": name,
            **scores,
            **{BASELINE + k: v for k, v in classical.items()},
            "seconds": result.seconds,
            "megapixels": restored.shape[0] * restored.shape[1] / 1e6,
        }
        if trial.region is not None:
            hole = trial.region(**given)
            row["hole_psnr"] = region_psnr(restored, reference, hole)
            row[BASELINE + "hole_psnr"] = region_psnr(baseline, reference, hole)
        pictures = {"degraded": degraded, "baseline": baseline, "restored": restored}
        if gather is not None:
            gather(row, {**pictures, "clean": reference}, file)
        if save is not None:
            for kind, pixels in pictures.items():
                target = (save / kind / name).with_suffix(".png")
                images.write(target, images.Photo(eight_bit(pixels)))
        rows.append(row)
        if each is not None:
            each(row)
    return {
        "task": task.name,
        "options": {
            name: of.typed(value) if isinstance(of := shown.get(name), NoiseLevel) else value
            for name, value in options.items()
            if value is not None
        }
        | how,
        "recipe": vars(restorer.how.recipe),
        "tuning": flat(restorer.how.tuning),
        "prior": restorer.how.prior_name,
        "nfe": result.nfe,
        "images": rows,
        "mean": mean_of(rows),
    }


@contextlib.contextmanager
def as_read(degraded: np.ndarray | bytes) -> Iterator[tuple[np.ndarray, images.Source | None]]:
    """An array as it is; a file's content through a file."""
    if not isinstance(degraded, bytes):
        yield degraded, None
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photo"
        file.write_bytes(degraded)
        photo = images.read(file)
        yield photo.pixels, photo.source


def luma_of(clean: np.ndarray) -> np.ndarray:
    """(H, W, 1) uint8, BT.601's Y on 16..235, as the literature on JPEG has it."""
    return np.rint(metrics.comparable(clean, luma=True)).astype(np.uint8)


def mean_of(rows: list[Report]) -> Report:
    """Means over images of every score, and seconds over megapixels."""
    names = [k for k in rows[0] if k not in ("name", "seconds", "megapixels")]
    means: Report = {k: float(np.mean([row[k] for row in rows])) for k in names}
    spent, size = (sum(row[k] for row in rows) for k in ("seconds", "megapixels"))
    return means | {"seconds_per_megapixel": spent / size}


def region_psnr(restored: np.ndarray, reference: np.ndarray, region: np.ndarray) -> float:
    """PSNR in dB over the pixels of a region, on 8-bit values."""
    gap = restored[region].astype(np.float64) - reference[region]
    error = float(np.square(gap).mean())
    return float("inf") if error == 0 else 10 * math.log10(255**2 / error)
